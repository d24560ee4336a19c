/// What calls cost, to the pico-dollar.
#pragma once

#include <doctest/doctest.h>
#include <fixtures/llm-upstream/Vectors.h>

#include <cstdint>
#include <string>

namespace matrixos::test {

/// Dollars as a decimal number with up to 12 places, in pico-dollars.
inline std::int64_t picoOf(const std::string &text, const std::string &member) {
  const std::size_t at = text.find("\"" + member + "\":");
  REQUIRE_MESSAGE(at != std::string::npos, text);
  std::size_t i = at + member.size() + 3;
  std::int64_t whole = 0, places = 12;
  bool point = false;
  for (; i < text.size() && places > 0; ++i) {
    const char c = text[i];
    if (c == '.') {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    whole = whole * 10 + (c - '0');
    if (point) --places;
  }
  for (; places > 0; --places)
    whole *= 10;
  return whole;
}

inline std::string bodyOf(const LlmVector &vector, bool stream) {
  return std::string(R"({"model":")") + vector.model + R"(","max_tokens":6000,"stream":)" +
         (stream ? "true" : "false") + R"(,"system":")" + std::string(static_cast<std::size_t>(vector.prompt), 'p') +
         "\"" + vector.more + R"(,"messages":[{"role":"user","content":"scenario: )" + vector.words + R"("}]})";
}

inline std::string bodyOf(const std::string &words, bool stream) {
  return bodyOf({"", "claude-haiku-5-5", words.c_str(), 1000, 0}, stream);
}

} // namespace matrixos::test
