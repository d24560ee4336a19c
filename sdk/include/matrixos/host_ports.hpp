/// matrixos/host_ports.hpp: for runtimes whose instances listen on ports of this machine.
#pragma once

#include <matrixos/abi/runtime.h>
#include <matrixos/address.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/instance_spec.hpp>
#include <matrixos/status.hpp>

#include <cerrno>
#include <string>

namespace matrixos {
inline namespace v1 {

/// Whether nobody listens on the port now. What cannot be asked counts as free: the instance will say so itself.
inline bool isPortFree(const std::string &ip, std::uint16_t port) noexcept {
  const auto address = Address::tryIp(ip, port);
  if (!address) return true;
  const FileDescriptor fd(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Connections that linger from a former run are in nobody's way; listeners still are.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return !fd || ::bind(fd.get(), address->data(), address->size()) == 0 || errno != EADDRINUSE;
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
