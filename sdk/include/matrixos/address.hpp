/// matrixos/address.hpp: where to listen or connect to; addresses are read, compared and written here and nowhere else.
/// Poco 1.11's IPAddress cannot stand in: it reads "127.1" and "127.0.0.1 x", refuses "::", and writes ::5 as "::".
#pragma once

#include <matrixos/status.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// An IPv4, IPv6 or UNIX socket address, kept as the kernel takes it. A value.
class Address {
public:
  /// The 16 bytes of an IP address, an IPv4 one in its IPv6 mapping (RFC 4291 §2.5.5.2).
  using Bytes = std::array<std::uint8_t, 16>;

  Address() noexcept : size_(sizeof(sockaddr)) {
    std::memset(&storage_, 0, sizeof storage_);
    storage_.any.sa_family = AF_UNSPEC;
  }

  /// "127.0.0.1:9000", "[::1]:9000", "unix:/run/x.sock". Throws Error(InvalidArgument). Names are never resolved.
  static Address parse(std::string_view text) {
    constexpr std::string_view kUnix = "unix:";
    if (text.substr(0, kUnix.size()) == kUnix) {
      const std::string_view path = text.substr(kUnix.size());
      Address out;
      if (path.empty() || path.size() >= sizeof out.storage_.local.sun_path) refuse(text);
      out.storage_.local.sun_family = AF_UNIX;
      std::memcpy(out.storage_.local.sun_path, path.data(), path.size());
      out.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
      return out;
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) refuse(text);
    std::uint16_t port = 0;
    const char *end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + colon + 1, end, port);
    if (read.ec != std::errc{} || read.ptr != end) refuse(text);
    std::string_view ip = text.substr(0, colon);
    if (ip.size() > 2 && ip.front() == '[' && ip.back() == ']')
      ip = ip.substr(1, ip.size() - 2);
    else if (ip.find(':') != std::string_view::npos)
      refuse(text);
    return fromIp(ip, port);
  }

  /// Throws Error(InvalidArgument) when it is no IP address.
  static Address fromIp(std::string_view ip, std::uint16_t port) {
    const std::optional<Address> out = tryIp(ip, port);
    if (!out) refuse(ip);
    return *out;
  }

  /// None when it is no IP address. IPv4 is four decimal numbers without leading zeros; IPv6 has no brackets and no
  /// zone, and may end like IPv4 (RFC 4291 §2.2).
  static std::optional<Address> tryIp(std::string_view ip, std::uint16_t port = 0) noexcept {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (ip.size() >= text.size() || ip.find('\0') != std::string_view::npos) return std::nullopt;
    std::copy(ip.begin(), ip.end(), text.begin());
    Address out;
    if (::inet_pton(AF_INET, text.data(), &out.storage_.v4.sin_addr) == 1) return out.finished(AF_INET, port);
    if (::inet_pton(AF_INET6, text.data(), &out.storage_.v6.sin6_addr) == 1) return out.finished(AF_INET6, port);
    return std::nullopt;
  }

  /// `bytes`: 4 of IPv4 or 16 of IPv6, in network order.
  static Address fromBytes(std::string_view bytes, std::uint16_t port) noexcept {
    Address out;
    const bool v4 = bytes.size() == sizeof(in_addr);
    void *to = v4 ? static_cast<void *>(&out.storage_.v4.sin_addr) : &out.storage_.v6.sin6_addr;
    std::memcpy(to, bytes.data(), v4 ? sizeof(in_addr) : sizeof(in6_addr));
    return out.finished(v4 ? AF_INET : AF_INET6, port);
  }

  static Address fromSystem(const sockaddr *address, socklen_t size) noexcept {
    Address out;
    out.size_ = std::min<socklen_t>(size, sizeof out.storage_);
    std::memcpy(&out.storage_, address, out.size_);
    return out;
  }

  const sockaddr *data() const noexcept { return reinterpret_cast<const sockaddr *>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  int family() const noexcept { return storage_.any.sa_family; }
  bool isUnix() const noexcept { return family() == AF_UNIX; }

  std::uint16_t port() const noexcept {
    if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
    return family() == AF_INET6 ? ntohs(storage_.v6.sin6_port) : std::uint16_t{0};
  }

  /// The same IP address with another port.
  Address withPort(std::uint16_t port) const noexcept {
    Address out = *this;
    return family() == AF_INET || family() == AF_INET6 ? out.finished(family(), port) : out;
  }

  /// All zero for UNIX sockets.
  Bytes bytes() const noexcept {
    Bytes out{};
    if (family() == AF_INET6) std::memcpy(out.data(), &storage_.v6.sin6_addr, out.size());
    if (family() != AF_INET) return out;
    out[10] = out[11] = 0xFF;
    std::memcpy(out.data() + 12, &storage_.v4.sin_addr, sizeof(in_addr));
    return out;
  }

  /// The IP address alone as inet_ntop(3) spells it, an IPv6 mapping as such; empty for UNIX sockets.
  std::string literal() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (family() == AF_INET) ::inet_ntop(AF_INET, &storage_.v4.sin_addr, text.data(), text.size());
    if (family() == AF_INET6) ::inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text.data(), text.size());
    return text.data();
  }

  /// The same, but an IPv4 address without its IPv6 mapping.
  std::string ip() const {
    constexpr std::size_t kMapping = std::string_view("::ffff:").size();
    const bool mapped = family() == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&storage_.v6.sin6_addr);
    return mapped ? literal().substr(kMapping) : literal();
  }

  /// As parse() reads it.
  std::string text() const {
    if (isUnix()) return "unix:" + std::string(storage_.local.sun_path);
    const std::string name = ip();
    const std::string host = name.find(':') != std::string::npos ? "[" + name + "]" : name;
    return host + ":" + std::to_string(port());
  }

  /// The same place: an IPv4 address equals its IPv6 mapping.
  friend bool operator==(const Address &a, const Address &b) { return a.text() == b.text(); }

private:
  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  };

  [[noreturn]] static void refuse(std::string_view text) {
    throw Error(Status::InvalidArgument,
                "\"" + std::string(text) + "\" is no address; write 127.0.0.1:9000, [::1]:9000 or unix:/path");
  }

  Address finished(int family, std::uint16_t port) noexcept {
    const bool v4 = family == AF_INET;
    storage_.any.sa_family = static_cast<sa_family_t>(family);
    (v4 ? storage_.v4.sin_port : storage_.v6.sin6_port) = htons(port);
    size_ = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    return *this;
  }

  Storage storage_;
  socklen_t size_;
};

} // namespace v1
} // namespace matrixos
