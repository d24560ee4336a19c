/// matrixos/text/hex.hpp: hexadecimal digits (RFC 4648 §8), in lower case when written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// The value of a digit in either case, -1 when `c` is none.
constexpr int hexValue(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Appends the last `digits` digits of `value`, the highest first.
inline void appendHex(std::string &out, std::uint64_t value, std::size_t digits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t left = digits; left > 0; --left)
    out += left > 16 ? '0' : kDigits[(value >> (4 * (left - 1))) & 15U];
}

/// Two digits for each byte.
inline std::string toHex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes)
    appendHex(out, static_cast<unsigned char>(byte), 2);
  return out;
}

} // namespace v1
} // namespace matrixos
