#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::config {

/// Where a listener binds: a numeric IP address with a port, or a unix socket's path.
struct ListenAddress {
  enum class Kind { Ipv4, Ipv6, Unix };

  Kind kind = Kind::Ipv4;
  /// Numeric, canonical, without brackets; empty for a unix socket.
  std::string address;
  /// 0: the kernel picks a free one.
  std::uint16_t port = 0;
  /// Of a unix socket; may be relative until the configuration has been validated.
  std::string path;

  /// Reads "127.0.0.1:9000", "[::1]:9000", "localhost:9000" (127.0.0.1) or "unix:/run/x.sock". Other host names are
  /// refused, since what they mean can change under us. Throws Error(InvalidArgument) that says what is expected.
  static ListenAddress parse(std::string_view text);

  /// As an operator would write it.
  std::string toString() const;
  /// Only this machine can connect: a unix socket, 127.0.0.0/8, ::1 or an IPv4 loopback mapped into IPv6.
  bool isLocal() const;
  /// All addresses of the machine: 0.0.0.0 or [::].
  bool isWildcard() const { return address == "0.0.0.0" || address == "::"; }
  /// Both cannot be bound at once. Port 0 never collides.
  bool collidesWith(const ListenAddress &other) const;

  bool operator==(const ListenAddress &) const = default;
};

} // namespace matrixos::config
