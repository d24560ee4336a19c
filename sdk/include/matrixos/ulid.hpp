/// matrixos/ulid.hpp: sortable unique ids (https://github.com/ulid/spec).
#pragma once

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <string>

namespace matrixos {
inline namespace v1 {

/// A new ULID: 26 characters of Crockford's base 32, 48 bits of milliseconds and 80 random bits. Any thread.
/// Throws Error(Internal) when the kernel gives no randomness.
inline std::string makeUlid() {
  static constexpr char kDigits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data() + 6, 10, 0) != 10) throw Error(Status::Internal, "getrandom gave no bytes");
  const auto ms = static_cast<std::uint64_t>(wallClockMs());
  for (std::size_t i = 0; i < 6; ++i)
    bytes[i] = static_cast<unsigned char>(ms >> (8 * (5 - i)));
  std::string text(26, '0');
  // 128 bits are read as 130 with two leading zero bits, 5 at a time.
  for (std::size_t digit = 0; digit < 26; ++digit) {
    unsigned value = 0;
    for (std::size_t bit = digit * 5; bit < digit * 5 + 5; ++bit) {
      value <<= 1U;
      if (bit >= 2) value |= (bytes[(bit - 2) / 8] >> (7 - (bit - 2) % 8)) & 1U;
    }
    text[digit] = kDigits[value];
  }
  return text;
}

} // namespace v1
} // namespace matrixos
