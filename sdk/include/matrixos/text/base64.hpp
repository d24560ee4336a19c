/// matrixos/text/base64.hpp: base64 (RFC 4648 §4 and §5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// Which characters stand for 62 and 63: "+/" (§4) or "-_", which may stand in URLs and file names (§5).
enum class Base64 { Standard, Url };

namespace detail {

/// The six bits behind a character, -1 when it is none of the alphabet.
constexpr int base64Value(char c, Base64 alphabet) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == (alphabet == Base64::Url ? '-' : '+')) return 62;
  if (c == (alphabet == Base64::Url ? '_' : '/')) return 63;
  return -1;
}

} // namespace detail

/// The text for `bytes`, padded with "=" to a multiple of four characters.
inline std::string base64Encode(std::string_view bytes, Base64 alphabet = Base64::Standard) {
  static constexpr char kStandard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static constexpr char kUrl[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const char *const digits = alphabet == Base64::Url ? kUrl : kStandard;
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t have = bytes.size() - at < 3 ? bytes.size() - at : 3;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8U | (i < have ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      out += i <= have ? digits[group >> (18 - 6 * i) & 63U] : '=';
  }
  return out;
}

/// The bytes behind `text`, or nothing when it is not what base64Encode() would have made of them. The padding may be
/// left out as a whole (§3.2), as in a JSON Web Token; other characters and stray bits at the end are errors (§3.3,
/// §3.5).
inline std::optional<std::string> base64Decode(std::string_view text, Base64 alphabet = Base64::Standard) {
  if (text.size() % 4 == 0) {
    for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding)
      text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const int value = detail::base64Value(c, alphabet);
    if (value < 0) return std::nullopt;
    group = (group << 6U | static_cast<std::uint32_t>(value)) & 0xFFFFU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(group >> bits & 0xFFU);
  }
  if ((group & ((1U << bits) - 1U)) != 0) return std::nullopt;
  return out;
}

} // namespace v1
} // namespace matrixos
