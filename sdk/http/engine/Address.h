/// http/engine/Address.h: where to listen or connect to.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::http {

/// An IPv4, IPv6 or UNIX socket address.
class Address {
public:
  Address() noexcept;

  /// "127.0.0.1:9000", "[::1]:9000", "unix:/run/x.sock". Throws matrixos::Error(InvalidArgument); names are
  /// another matter, see HostName: a data plane must not wait for a resolver.
  static Address parse(std::string_view text);
  static Address fromIp(std::string_view ip, std::uint16_t port);
  static Address fromSystem(const sockaddr *address, socklen_t size) noexcept;

  const sockaddr *data() const noexcept { return reinterpret_cast<const sockaddr *>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  int family() const noexcept { return storage_.any.sa_family; }
  /// The same IP address with another port.
  Address withPort(std::uint16_t port) const noexcept;
  bool isUnix() const noexcept { return family() == AF_UNIX; }

  /// As parse() reads it.
  std::string text() const;
  /// The IP address alone, an IPv4 one without the IPv6 mapping; empty for UNIX sockets.
  std::string ip() const;
  std::uint16_t port() const noexcept;

private:
  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  };
  Storage storage_;
  socklen_t size_;
};

} // namespace matrixos::http
