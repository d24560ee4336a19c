/// matrixos/host_ports.hpp: for runtimes whose instances listen on ports of this machine.
#pragma once

#include <matrixos/abi/runtime.h>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/instance_spec.hpp>
#include <matrixos/status.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

namespace matrixos {
inline namespace v1 {

/// Whether nobody listens on the port now. What cannot be asked counts as free: the instance will say so itself.
inline bool isPortFree(const std::string &address, std::uint16_t port) noexcept {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const bool isV4 = ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
  if (!isV4 && ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1) return true;
  const FileDescriptor fd(::socket(isV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Connections that linger from a former run are in nobody's way; listeners still are.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto *name = isV4 ? reinterpret_cast<const sockaddr *>(&v4) : reinterpret_cast<const sockaddr *>(&v6);
  const auto size = static_cast<socklen_t>(isV4 ? sizeof v4 : sizeof v6);
  return !fd || ::bind(fd.get(), name, size) == 0 || errno != EADDRINUSE;
}

/// For launch(): throws Error(Aborted, PORT_IN_USE) that names the port when somebody listens on a host port of the
/// spec.
inline void requireFreePorts(const InstanceSpec &spec) {
  for (const InstanceSpec::Port &port : spec.ports) {
    if (port.hostPort == 0 || isPortFree(port.hostAddress, port.hostPort)) continue;
    throw Error(Status::Aborted,
                "host port " + std::to_string(port.hostPort) + " of " + spec.name + " is in use by another program",
                MOS_REASON_PORT_IN_USE);
  }
}

} // namespace v1
} // namespace matrixos
