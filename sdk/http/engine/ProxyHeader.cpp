#include "ProxyHeader.h"

#include <http/codec/Grammar.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace matrixos::http {

namespace {

constexpr std::string_view kText = "PROXY ";
constexpr std::string_view kBinary{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t kMostText = 107; // §2.1, with the line end
constexpr std::size_t kBinaryHead = 16;

bool parsePort(std::string_view text, std::uint16_t &out) {
  if (!isDigits(text) || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  out = static_cast<std::uint16_t>(value);
  return value <= 65535;
}

bool parseAddress(std::string_view ip, std::uint16_t port, int family, std::optional<Address> &out) {
  out = Address::tryIp(ip, port);
  return out && out->family() == family;
}

/// "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443", split at single blanks.
ParseResult parseText(std::string_view line, ProxyHeader &out) {
  line.remove_prefix(kText.size());
  if (line.substr(0, 7) == "UNKNOWN") return isFieldValue(line) ? ParseResult::Complete : ParseResult::Failed;
  std::array<std::string_view, 5> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t end = i + 1 < parts.size() ? line.find(' ') : line.size();
    if (end == std::string_view::npos) return ParseResult::Failed;
    parts[i] = line.substr(0, end);
    line.remove_prefix(i + 1 < parts.size() ? end + 1 : end);
  }
  const auto &[protocol, from, to, fromPort, toPort] = parts;
  if (protocol != "TCP4" && protocol != "TCP6") return ParseResult::Failed;
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  std::uint16_t port = 0;
  std::optional<Address> ours;
  const bool fine = parsePort(toPort, port) && parseAddress(to, port, family, ours) && parsePort(fromPort, port) &&
                    parseAddress(from, port, family, out.client);
  return fine ? ParseResult::Complete : ParseResult::Failed;
}

/// Source and destination, then their ports; `size`: bytes of one address.
ParseResult takeClient(std::string_view addresses, std::size_t size, ProxyHeader &out) {
  if (addresses.size() < 2 * (size + sizeof(in_port_t))) return ParseResult::Failed;
  in_port_t port = 0;
  std::memcpy(&port, addresses.data() + 2 * size, sizeof port);
  out.client = Address::fromBytes(addresses.substr(0, size), ntohs(port));
  return ParseResult::Complete;
}

/// §2.2: version and command, family and protocol, length, then source and destination.
ParseResult parseBinary(std::string_view data, ProxyHeader &out) {
  if (data.size() < kBinaryHead) return ParseResult::NeedMore;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(data[at]); };
  const std::size_t length = static_cast<std::size_t>(byte(14)) << 8U | byte(15);
  out.size = kBinaryHead + length;
  const unsigned command = byte(12);
  if ((command != 0x20 && command != 0x21) || out.size > ProxyHeader::kMost) return ParseResult::Failed;
  if (data.size() < out.size) return ParseResult::NeedMore;
  if (command == 0x20) return ParseResult::Complete; // LOCAL: a health check of the sender's own
  const std::string_view addresses = data.substr(kBinaryHead, length);
  switch (byte(13)) {
  case 0x11: // TCP over IPv4
    return takeClient(addresses, sizeof(in_addr), out);
  case 0x21: // TCP over IPv6
    return takeClient(addresses, sizeof(in6_addr), out);
  default: // UNIX sockets and what is not specified: there is no address to tell of
    return ParseResult::Complete;
  }
}

} // namespace

ParseResult ProxyHeader::parse(std::string_view data, ProxyHeader &out) {
  out = {};
  const auto startsLike = [&](std::string_view start) {
    const std::size_t common = std::min(data.size(), start.size());
    return data.substr(0, common) == start.substr(0, common);
  };
  if (startsLike(kBinary)) return parseBinary(data, out);
  if (!startsLike(kText)) return ParseResult::Failed;
  const std::size_t end = data.substr(0, kMostText).find("\r\n");
  if (end == std::string_view::npos) return data.size() < kMostText ? ParseResult::NeedMore : ParseResult::Failed;
  if (end < kText.size()) return ParseResult::Failed;
  out.size = end + 2;
  return parseText(data.substr(0, end), out);
}

} // namespace matrixos::http
