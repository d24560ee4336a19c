#include "Authority.h"

#include "Grammar.h"

namespace matrixos::http {

namespace {

/// Of an address in brackets with what belongs to it, or 0.
std::size_t bracketedSize(std::string_view text) noexcept {
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos || close < 3) return 0;
  for (const char c : text.substr(1, close - 1)) {
    const char l = lower(c);
    const bool hex = (l >= '0' && l <= '9') || (l >= 'a' && l <= 'f');
    if (!hex && l != ':' && l != '.') return 0;
  }
  return close + 1;
}

std::size_t nameSize(std::string_view text) noexcept {
  const std::string_view name = text.substr(0, text.find(':'));
  return name.size() <= 253 && detail::allOf(name, detail::kHostName) ? name.size() : 0;
}

} // namespace

std::optional<Authority> Authority::parse(std::string_view text, unsigned defaultPort) noexcept {
  if (text.empty()) return std::nullopt;
  const bool bracketed = text.front() == '[';
  const std::size_t size = bracketed ? bracketedSize(text) : nameSize(text);
  Authority out{text.substr(0, size), defaultPort};
  if (!bracketed && size != 0 && out.name.back() == '.') out.name.remove_suffix(1);
  if (out.name.empty()) return std::nullopt;
  text.remove_prefix(size);
  if (text.empty()) return out;
  constexpr std::size_t kMostPort = 5;
  const std::string_view port = text.substr(1);
  if (text.front() != ':' || port.size() > kMostPort || (!port.empty() && !isDigits(port))) return std::nullopt;
  if (port.empty()) return out;
  out.port = 0;
  for (const char c : port)
    out.port = out.port * 10 + static_cast<unsigned>(c - '0');
  return out;
}

unsigned Authority::defaultPort(std::string_view scheme) noexcept {
  return sameAsLower(scheme, "https") ? 443 : 80;
}

bool Authority::operator==(const Authority &other) const noexcept {
  return port == other.port && sameText(name, other.name);
}

std::optional<Origin> Origin::parse(std::string_view text) noexcept {
  constexpr std::string_view kEnd = "://";
  const std::size_t scheme = text.find(kEnd);
  if (scheme == std::string_view::npos || scheme == 0) return std::nullopt;
  Origin out{text.substr(0, scheme), {}};
  const auto authority = Authority::parse(text.substr(scheme + kEnd.size()), Authority::defaultPort(out.scheme));
  if (!authority) return std::nullopt;
  out.authority = *authority;
  return out;
}

bool Origin::operator==(const Origin &other) const noexcept {
  return sameText(scheme, other.scheme) && authority == other.authority;
}

} // namespace matrixos::http
