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

/// How many bytes at the front of `text` stand for themselves: whole characters that are neither escaped nor controls.
constexpr std::size_t plainPrefix(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    if (isPlainInJson(text[at])) {
      ++at;
      continue;
    }
    const std::size_t length = characterLength(text.substr(at));
    const bool control = text[at] == '\xC2' && length == 2 && static_cast<unsigned char>(text[at + 1]) < 0xA0U;
    if (length < 2 || control) break;
    at += length;
  }
  return at;
}

/// Appends what stands for the character at the front of `text`, which is not plain; returns the bytes it takes there.
inline std::size_t appendEscaped(std::string &out, std::string_view text) {
  const std::size_t length = characterLength(text);
  if (length == 0) {
    out += kReplacementCharacter;
    return 1;
  }
  switch (text.front()) {
  case '"':
  case '\\':
    (out += '\\') += text.front();
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
    out += "\\u00"; // the last byte of U+0080 to U+009F is their number
    appendHex(out, static_cast<unsigned char>(text[length - 1]), 2);
  }
  return length;
}

} // namespace detail

/// Appends `text` as it stands between the quotes of a JSON string, and no more than fits whole into a line of `limit`
/// bytes; false when some did not fit. The result is valid UTF-8 whatever is put in, and carries none of the control
/// characters, U+0000 to U+001F and U+007F to U+009F, that terminals act on.
inline bool appendJsonEscaped(std::string &out, std::string_view text, std::size_t limit = std::string::npos) {
  for (;;) {
    const std::size_t run = detail::plainPrefix(text); // nearly every text is one run
    const std::size_t room = out.size() < limit ? limit - out.size() : 0;
    if (run > room) {
      out += cutUtf8(text, room);
      return false;
    }
    out.append(text, 0, run);
    text.remove_prefix(run);
    if (text.empty()) break;
    const std::size_t before = out.size();
    const std::size_t taken = detail::appendEscaped(out, text);
    if (out.size() > limit) {
      out.resize(before);
      return false;
    }
    text.remove_prefix(taken);
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
