#include "PublicAddress.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace matrixos::http {

namespace {

struct Net4 {
  std::uint32_t prefix;
  unsigned bits;
};

constexpr std::uint32_t net(unsigned a, unsigned b, unsigned c = 0) {
  return a << 24U | b << 16U | c << 8U;
}

/// https://www.iana.org/assignments/iana-ipv4-special-registry
constexpr Net4 kSpecial4[] = {
    {net(0, 0), 8},          {net(10, 0), 8},         {net(100, 64), 10},      {net(127, 0), 8},
    {net(169, 254), 16},     {net(172, 16), 12},      {net(192, 0, 0), 24},    {net(192, 0, 2), 24},
    {net(192, 31, 196), 24}, {net(192, 52, 193), 24}, {net(192, 88, 99), 24},  {net(192, 168), 16},
    {net(192, 175, 48), 24}, {net(198, 18), 15},      {net(198, 51, 100), 24}, {net(203, 0, 113), 24},
    {net(224, 0), 3},
};

using Bytes6 = std::array<std::uint8_t, 16>;

struct Net6 {
  Bytes6 prefix;
  unsigned bits;
};

/// Inside 2000::/3: https://www.iana.org/assignments/iana-ipv6-special-registry. 6to4 and Teredo lead to IPv4 addresses
/// that somebody else chooses.
constexpr Net6 kSpecial6[] = {
    {{0x20, 0x01, 0x00}, 23}, {{0x20, 0x01, 0x0d, 0xb8}, 32},       {{0x20, 0x02}, 16},
    {{0x3f, 0xff}, 20},       {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48},
};
constexpr Net6 kGlobal6{{0x20}, 3};
constexpr Net6 kMapped{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
constexpr Net6 kTranslated{{0x00, 0x64, 0xff, 0x9b}, 96};

bool isPublic4(std::uint32_t address) noexcept {
  return std::none_of(std::begin(kSpecial4), std::end(kSpecial4),
                      [&](const Net4 &net) { return (address ^ net.prefix) >> (32 - net.bits) == 0; });
}

bool isIn(const Bytes6 &address, const Net6 &net) noexcept {
  for (unsigned bit = 0; bit < net.bits; bit += 8) {
    const unsigned left = std::min(net.bits - bit, 8U);
    if (((address[bit / 8] ^ net.prefix[bit / 8]) & 0xFFU) >> (8 - left) != 0) return false;
  }
  return true;
}

bool isPublic6(const Bytes6 &address) noexcept {
  if (isIn(address, kMapped) || isIn(address, kTranslated)) {
    std::uint32_t inner = 0;
    for (std::size_t i = 12; i < 16; ++i)
      inner = inner << 8U | address[i];
    return isPublic4(inner);
  }
  return isIn(address, kGlobal6) &&
         std::none_of(std::begin(kSpecial6), std::end(kSpecial6), [&](const Net6 &net) { return isIn(address, net); });
}

} // namespace

bool isPublicAddress(const sockaddr *address) noexcept {
  if (address->sa_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, address, sizeof four);
    return isPublic4(ntohl(four.sin_addr.s_addr));
  }
  if (address->sa_family != AF_INET6) return false;
  sockaddr_in6 six{};
  std::memcpy(&six, address, sizeof six);
  Bytes6 bytes{};
  std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
  return isPublic6(bytes);
}

} // namespace matrixos::http
