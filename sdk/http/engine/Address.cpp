#include "Address.h"

#include <matrixos/status.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace matrixos::http {

namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw Error(Status::InvalidArgument,
              "\"" + std::string(text) + "\" is no address; write 127.0.0.1:9000, [::1]:9000 or unix:/path");
}

} // namespace

Address::Address() noexcept : size_(sizeof(sockaddr)) {
  std::memset(&storage_, 0, sizeof storage_);
  storage_.any.sa_family = AF_UNSPEC;
}

Address Address::parse(std::string_view text) {
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

Address Address::fromIp(std::string_view ip, std::uint16_t port) {
  const std::string text(ip);
  Address out;
  if (::inet_pton(AF_INET, text.c_str(), &out.storage_.v4.sin_addr) == 1) {
    out.storage_.v4.sin_family = AF_INET;
    out.storage_.v4.sin_port = htons(port);
    out.size_ = sizeof(sockaddr_in);
    return out;
  }
  if (::inet_pton(AF_INET6, text.c_str(), &out.storage_.v6.sin6_addr) == 1) {
    out.storage_.v6.sin6_family = AF_INET6;
    out.storage_.v6.sin6_port = htons(port);
    out.size_ = sizeof(sockaddr_in6);
    return out;
  }
  refuse(text);
}

Address Address::fromSystem(const sockaddr *address, socklen_t size) noexcept {
  Address out;
  out.size_ = std::min<socklen_t>(size, sizeof out.storage_);
  std::memcpy(&out.storage_, address, out.size_);
  return out;
}

std::string Address::ip() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    return ::inet_ntop(AF_INET, &storage_.v4.sin_addr, text.data(), text.size());
  }
  if (family() == AF_INET6) {
    if (IN6_IS_ADDR_V4MAPPED(&storage_.v6.sin6_addr)) {
      return ::inet_ntop(AF_INET, &storage_.v6.sin6_addr.s6_addr[12], text.data(), text.size());
    }
    return ::inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text.data(), text.size());
  }
  return {};
}

std::uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(storage_.v6.sin6_port);
  return 0;
}

Address Address::withPort(std::uint16_t port) const noexcept {
  Address out = *this;
  if (family() == AF_INET) out.storage_.v4.sin_port = htons(port);
  if (family() == AF_INET6) out.storage_.v6.sin6_port = htons(port);
  return out;
}

std::string Address::text() const {
  if (isUnix()) return "unix:" + std::string(storage_.local.sun_path);
  const std::string name = ip();
  const std::string host = name.find(':') != std::string::npos ? "[" + name + "]" : name;
  return host + ":" + std::to_string(port());
}

} // namespace matrixos::http
