/// What calls cost, to the pico-dollar.
#pragma once

#include <doctest/doctest.h>
#include <fixtures/llm-upstream/Vectors.h>

#include <cstdint>
#include <string>

namespace matrixos::test {

/// Decimal dollars, with up to 12 places, in pico-dollars.
inline std::int64_t picoOf(const std::string &usd) {
  std::int64_t pico = 0, places = 12;
  bool point = false;
  for (const char c : usd) {
    if (c == '.') {
      point = true;
      continue;
    }
    if (c < '0' || c > '9' || places == 0) break;
    pico = pico * 10 + (c - '0');
    if (point) --places;
  }
  for (; places > 0; --places)
    pico *= 10;
  return pico;
}

/// The same of a member of a report.
inline std::int64_t picoOf(const std::string &report, const std::string &member) {
  const std::size_t at = report.find("\"" + member + "\":");
  REQUIRE_MESSAGE(at != std::string::npos, report);
  return picoOf(report.substr(at + member.size() + 3, 30));
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
