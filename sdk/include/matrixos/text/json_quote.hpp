/// matrixos/text/json_quote.hpp: text as a JSON string (RFC 8259 §7).
#pragma once

#include <matrixos/text/hex.hpp>
#include <matrixos/text/utf8.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

namespace detail {

/// ASCII that stands for itself.
constexpr bool isPlainInJson(char c) noexcept {
  return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

/// Appends what stands for `character` in JSON: an ASCII byte that is not plain, a character of more bytes, or, when it
/// is empty, something that is no character.
inline void appendEscaped(std::string &out, std::string_view character) {
  if (character.empty()) {
    out += kReplacementCharacter;
    return;
  }
  const char first = character.front();
  const auto last = static_cast<unsigned char>(character.back());
  const bool control = character.size() == 1 || (first == '\xC2' && last < 0xA0);
  switch (first) {
  case '"':
  case '\\':
    (out += '\\') += first;
    break;
  case '\n':
    out += "\\n";
    break;
  case '\r':
    out += "\\r";
    break;
  case '\t':
    out += "\\t";
    break;
  default:
    if (!control) {
      out += character;
      break;
    }
    out += "\\u00";
    appendHex(out, last, 2);
  }
}

} // namespace detail

/// Appends `text` as it stands between the quotes of a JSON string, and no more than fits whole into a line of `limit`
/// bytes; false when some did not fit. The result is valid UTF-8 whatever is put in, and carries none of the control
/// characters, U+0000 to U+001F and U+007F to U+009F, that terminals act on.
inline bool appendJsonEscaped(std::string &out, std::string_view text, std::size_t limit = std::string::npos) {
  while (!text.empty()) {
    std::size_t run = 0; // nearly every text is one run
    while (run < text.size() && detail::isPlainInJson(text[run]))
      ++run;
    const std::size_t room = out.size() < limit ? limit - out.size() : 0;
    out.append(text, 0, run < room ? run : room);
    if (run > room) return false;
    text.remove_prefix(run);
    if (text.empty()) break;
    const std::size_t before = out.size();
    const std::size_t length = characterLength(text);
    detail::appendEscaped(out, text.substr(0, length));
    if (out.size() > limit) {
      out.resize(before);
      return false;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return true;
}

/// Appends `text` as a JSON string, quotes included.
inline void appendJsonString(std::string &out, std::string_view text) {
  out += '"';
  appendJsonEscaped(out, text);
  out += '"';
}

/// `text` as a JSON string, quotes included.
inline std::string jsonString(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  appendJsonString(out, text);
  return out;
}

} // namespace v1
} // namespace matrixos
