/// http/codec/Grammar.h: the character classes of RFC 9110 §5.5 and §5.6, as tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace matrixos::http {

namespace detail {

enum : std::uint8_t { kToken = 1, kFieldText = 2, kTarget = 4, kDigit = 8, kHostName = 16, kPlainName = 32 };

constexpr std::array<std::uint8_t, 256> makeClasses() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool token = digit || alpha;
    for (const char mark : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
      token = token || c == static_cast<unsigned char>(mark);
    }
    unsigned bits = 0;
    if (token) bits |= kToken;
    if (c == '\t' || (c >= 0x20 && c != 0x7F)) bits |= kFieldText;
    if (c > 0x20 && c < 0x7F && c != '#') bits |= kTarget;
    if (digit) bits |= kDigit;
    if (digit || alpha || c == '.' || c == '-' || c == '_') bits |= kHostName;
    if (digit || alpha || c == '-') bits |= kPlainName;
    table[c] = static_cast<std::uint8_t>(bits);
  }
  return table;
}

inline constexpr std::array<std::uint8_t, 256> kClasses = makeClasses();

inline bool allOf(std::string_view text, std::uint8_t wanted) noexcept {
  std::uint8_t seen = 0xFF;
  for (const char c : text)
    seen &= kClasses[static_cast<unsigned char>(c)];
  return (seen & wanted) != 0;
}

/// False when none of the eight bytes is a control character; true for a tab too.
inline bool mayHoldControl(const char *bytes) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  const std::uint64_t deletes = word ^ (kOnes * 0x7F);
  // A byte below n borrows from its high bit when n is taken from it; bytes above 0x7F had that bit set before.
  return ((((word - kOnes * 0x20) & ~word) | ((deletes - kOnes) & ~deletes)) & kHighs) != 0;
}

} // namespace detail

/// 1*tchar (RFC 9110 §5.6.2).
inline bool isToken(std::string_view text) noexcept {
  return !text.empty() && detail::allOf(text, detail::kToken);
}
/// Letters, digits and dashes, as names of fields are made of.
inline bool isPlainName(std::string_view text) noexcept {
  return !text.empty() && detail::allOf(text, detail::kPlainName);
}
/// What a field value may hold: visible characters, space, tab and obs-text; no other control byte (§5.5).
inline bool isFieldValue(std::string_view text) noexcept {
  while (text.size() >= sizeof(std::uint64_t) && !detail::mayHoldControl(text.data()))
    text.remove_prefix(sizeof(std::uint64_t));
  return detail::allOf(text, detail::kFieldText);
}
/// Visible ASCII without "#": the only bytes a request target may hold.
inline bool isTarget(std::string_view text) noexcept {
  return !text.empty() && detail::allOf(text, detail::kTarget);
}
inline bool isDigits(std::string_view text) noexcept {
  return !text.empty() && detail::allOf(text, detail::kDigit);
}

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

/// ASCII letters in lower case.
inline std::string toLower(std::string_view text) {
  std::string out(text);
  for (char &c : out)
    c = lower(c);
  return out;
}

/// ASCII comparison without regard to case.
inline bool sameText(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// The same, for a second text that is in lower case already.
inline bool sameAsLower(std::string_view text, std::string_view lowered) noexcept {
  if (text.size() != lowered.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lowered[i]) return false;
  }
  return true;
}

/// The text without spaces and tabs at its ends (OWS, §5.6.3).
inline std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

/// Calls `item(part)` for each trimmed, non-empty element of a comma-separated list (§5.6.1).
void forEachListItem(std::string_view list, auto &&item) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view part = trim(list.substr(0, comma));
    if (!part.empty()) item(part);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

/// True when a comma-separated list has the element, without regard to case.
inline bool listHas(std::string_view list, std::string_view wanted) noexcept {
  bool found = false;
  forEachListItem(list, [&](std::string_view part) { found = found || sameText(part, wanted); });
  return found;
}

} // namespace matrixos::http
