/// matrixos/text/utf8.hpp: UTF-8 (RFC 3629) from strangers: checked, counted, cleaned and cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// U+FFFD, which stands for what is no character.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// Bytes of the well-formed character at the front of `text` (The Unicode Standard, table 3-7): no overlong form, no
/// surrogate, nothing above U+10FFFF. 0 when there is none.
constexpr std::size_t characterLength(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto at = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = at(0);
  if (lead < 0x80U) return 1;
  if (lead < 0xC2U || lead > 0xF4U) return 0;
  const std::size_t length = lead < 0xE0U ? 2 : lead < 0xF0U ? 3 : 4;
  const unsigned low = lead == 0xE0U ? 0xA0U : lead == 0xF0U ? 0x90U : 0x80U;
  const unsigned high = lead == 0xEDU ? 0x9FU : lead == 0xF4U ? 0x8FU : 0xBFU;
  if (at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((at(i) & 0xC0U) != 0x80U) return 0;
  }
  return length;
}

/// How many bytes at the front of `text` are well-formed UTF-8.
inline std::size_t utf8Prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    // Nearly every text is ASCII: eight bytes at a time.
    std::uint64_t word = 0;
    if (text.size() - at >= sizeof word) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080U) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const std::size_t length = characterLength(text.substr(at));
    if (length == 0) break;
    at += length;
  }
  return at;
}

inline bool isUtf8(std::string_view text) noexcept {
  return utf8Prefix(text) == text.size();
}

/// How many characters (code points) a well-formed text has.
inline std::size_t countCharacters(std::string_view text) noexcept {
  std::size_t count = 0;
  for (const char c : text)
    count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

/// The text with U+FFFD in place of each byte that belongs to no character.
inline std::string cleanUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t good = utf8Prefix(text);
    out += text.substr(0, good);
    text.remove_prefix(good);
    if (text.empty()) break;
    out += kReplacementCharacter;
    text.remove_prefix(1);
  }
  return out;
}

/// The front of `text`, at most `maxBytes` long, that does not end within a character. What is no UTF-8 is cut
/// anywhere.
constexpr std::string_view cutUtf8(std::string_view text, std::size_t maxBytes) noexcept {
  if (text.size() <= maxBytes) return text;
  std::size_t end = maxBytes;
  for (std::size_t back = 0; back < 3 && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U; ++back)
    --end;
  return text.substr(0, characterLength(text.substr(end)) > maxBytes - end ? end : maxBytes);
}

} // namespace v1
} // namespace matrixos
