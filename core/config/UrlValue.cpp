#include "config/UrlValue.h"

#include "config/HostName.h"
#include "config/Text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace matrixos::config {

namespace {

constexpr auto kNowhere = std::string_view::npos;

bool isLetter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool isDigit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool isHex(char c) noexcept {
  return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// Only characters of RFC 3986 §2, and whole percent-encodings.
bool hasOnlyUrlCharacters(std::string_view text) {
  constexpr std::string_view kMarks = "-._~:/?#[]@!$&'()*+,;=";
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '%' && at + 2 < text.size() && isHex(text[at + 1]) && isHex(text[at + 2])) continue;
    if (!isLetter(c) && !isDigit(c) && kMarks.find(c) == kNowhere) return false;
  }
  return true;
}

/// "." and "..", also with dots that are percent-encoded: who reads the URL next may take them out.
bool hasDotSegment(std::string_view path) {
  std::string plain = lower(path);
  for (std::size_t at = plain.find("%2e"); at != std::string::npos; at = plain.find("%2e", at))
    plain.replace(at, 3, ".");
  plain += '/';
  return plain.find("/./") != std::string::npos || plain.find("/../") != std::string::npos;
}

/// The canonical text of the address, or nothing.
template <int Family, typename Address>
std::optional<std::string> canonicalAddress(const std::string &text) {
  Address address{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (::inet_pton(Family, text.c_str(), &address) != 1) return std::nullopt;
  return ::inet_ntop(Family, &address, out.data(), out.size());
}

/// In its canonical form, or nothing when it is no host. A name whose last label is a number would be taken for an
/// IPv4 address in some odd spelling.
std::optional<std::string> canonicalHost(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const auto address = canonicalAddress<AF_INET6, in6_addr>(std::string(host.substr(1, host.size() - 2)));
    return address ? std::optional("[" + *address + "]") : std::nullopt;
  }
  if (!isHostName(host, true)) return std::nullopt;
  const std::string_view last = host.substr(host.rfind('.') == kNowhere ? 0 : host.rfind('.') + 1);
  const bool hex = last.starts_with("0x") || last.starts_with("0X");
  const bool numeric = std::all_of(last.begin(), last.end(), isDigit);
  if (hex && std::all_of(last.begin() + 2, last.end(), isHex)) return std::nullopt;
  return numeric ? canonicalAddress<AF_INET, in_addr>(std::string(host)) : lower(host);
}

std::optional<unsigned> readPort(std::string_view text) {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), isDigit)) return std::nullopt;
  unsigned port = 0;
  for (const char c : text)
    port = port * 10 + static_cast<unsigned>(c - '0');
  return port >= 1 && port <= UINT16_MAX ? std::optional(port) : std::nullopt;
}

std::string joinWords(std::span<const std::string> words) {
  std::string out;
  for (const std::string &word : words)
    out += (out.empty() ? "" : " or ") + word;
  return out;
}

UrlValue refused(std::string problem) {
  return {{}, std::move(problem), false};
}

} // namespace

bool isScheme(std::string_view text) noexcept {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || isDigit(c) || c == '+' || c == '.' || c == '-'; };
  return !text.empty() && isLetter(text.front()) && std::all_of(text.begin(), text.end(), fits);
}

UrlValue UrlValue::parse(std::string_view text, std::span<const std::string> schemes) {
  const std::size_t colon = text.find("://");
  const std::size_t begin = colon == kNowhere ? text.size() : colon + 3;
  const std::size_t end = std::min(text.find_first_of("/?#", begin), text.size());
  std::string_view host = text.substr(begin, end - begin);
  if (host.find('@') != kNowhere) return {{}, "it holds a user name or a password", true};
  if (colon == kNowhere) return refused("it has no scheme");
  const std::string scheme = lower(text.substr(0, colon));
  if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end())
    return refused("its scheme is not " + joinWords(schemes));
  if (text.size() > kLongest) return refused("it is longer than " + std::to_string(kLongest) + " bytes");
  if (!hasOnlyUrlCharacters(text)) return refused("it has a character that no URL has");
  if (text.find('#') != kNowhere) return refused("it has a fragment");

  std::string port;
  if (const std::size_t at = host.rfind(':'); at != kNowhere && host.find(']', at) == kNowhere) {
    const auto number = readPort(host.substr(at + 1));
    if (!number) return refused("its port is none");
    const bool implied = (scheme == "http" && *number == 80) || (scheme == "https" && *number == 443);
    if (!implied) port = ":" + std::to_string(*number);
    host = host.substr(0, at);
  }
  const auto canonical = canonicalHost(host);
  if (!canonical) return refused(host.empty() ? "it names no host" : "its host is neither a name nor an address");
  const std::string_view rest = text.substr(end);
  if (hasDotSegment(rest.substr(0, rest.find('?')))) return refused("its path has a segment of dots");
  return {scheme + "://" + *canonical + port + std::string(rest), {}, false};
}

} // namespace matrixos::config
