#include "config/ListenAddress.h"

#include "config/Text.h"

#include <matrixos/address.hpp>

#include <charconv>

namespace matrixos::config {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;

[[noreturn]] void refuse(std::string_view text, const std::string &why) {
  throw Error(Status::InvalidArgument, quote(text) + " " + why);
}

std::uint16_t parsePort(std::string_view whole, std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port > 65535) {
    refuse(whole, "has no valid port; a port is a number from 0 (any free one) to 65535");
  }
  return static_cast<std::uint16_t>(port);
}

ListenAddress parseUnix(std::string_view text) {
  ListenAddress result;
  result.kind = ListenAddress::Kind::Unix;
  result.path = text.substr(kUnixPrefix.size());
  if (result.path.empty()) refuse(text, "has no path; write unix:/path/to/socket");
  // An abstract socket has no owner and no mode, so anybody on the machine could connect.
  if (result.path.front() == '@') refuse(text, "is an abstract socket; write unix:/path/to/socket");
  if (result.path.size() > kMaxUnixPath) {
    refuse(text, "is too long; the kernel takes socket paths of up to " + std::to_string(kMaxUnixPath) + " bytes");
  }
  return result;
}

} // namespace

ListenAddress ListenAddress::parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return parseUnix(text);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) {
    refuse(text, "is not an address to listen on; write 127.0.0.1:9000, [::1]:9000 or unix:/path/to/socket");
  }
  std::string_view host = text.substr(0, colon);
  if (host.empty() || host == "*") {
    refuse(text, "names no address; write 0.0.0.0:" + std::string(text.substr(colon + 1)) +
                     " if every network may connect, 127.0.0.1:" + std::string(text.substr(colon + 1)) + " if not");
  }
  ListenAddress result;
  result.port = parsePort(text, text.substr(colon + 1));
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    result.kind = Kind::Ipv6;
    host = host.substr(1, host.size() - 2);
  }
  const auto address = Address::tryIp(host);
  if (!address || (address->family() == AF_INET6) != (result.kind == Kind::Ipv6)) {
    refuse(text, "is not an address to listen on; write a numeric one, like 127.0.0.1:9000 or [::1]:9000");
  }
  result.address = address->literal();
  return result;
}

std::string ListenAddress::toString() const {
  switch (kind) {
  case Kind::Unix:
    return std::string(kUnixPrefix) + path;
  case Kind::Ipv6:
    return "[" + address + "]:" + std::to_string(port);
  case Kind::Ipv4:
    break;
  }
  return address + ":" + std::to_string(port);
}

bool ListenAddress::isLocal() const {
  if (kind == Kind::Unix) return true;
  if (kind == Kind::Ipv4) return address.starts_with("127.");
  return address == "::1" || address.starts_with("::ffff:127.");
}

bool ListenAddress::collidesWith(const ListenAddress &other) const {
  if (kind != other.kind) return false;
  if (kind == Kind::Unix) return path == other.path;
  if (port != other.port || port == 0) return false;
  return address == other.address || isWildcard() || other.isWildcard();
}

} // namespace matrixos::config
