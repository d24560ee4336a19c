/// Replays a committed corpus through the function that its fuzz target calls, and mutants of it: a poor man's fuzzer
/// that runs in every build.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

namespace matrixos::fuzz {

/// A copy with a few bytes changed, cut out or doubled.
inline std::string mutate(std::string text, std::mt19937 &random) {
  static constexpr std::string_view kSpice("\r\n\0 :;,\t0aF\x7f\xff", 13);
  const auto edits = 1 + random() % 4;
  for (std::uint64_t i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t at = random() % text.size();
    switch (random() % 4) {
    case 0:
      text[at] = kSpice[random() % kSpice.size()];
      break;
    case 1:
      text.erase(at, 1 + random() % 3);
      break;
    case 2:
      text.insert(at, text.substr(at, 1 + random() % 20));
      break;
    default:
      text.insert(at, 1, kSpice[random() % kSpice.size()]);
      break;
    }
  }
  return text;
}

inline void replay(const std::filesystem::path &folder, void (*check)(std::string_view), std::size_t atLeast) {
  std::mt19937 random(20240607);
  std::size_t files = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    CAPTURE(entry.path().string());
    CHECK_NOTHROW(check(text));
    for (int i = 0; i < 300; ++i) {
      const std::string mutant = mutate(text, random);
      CAPTURE(mutant);
      REQUIRE_NOTHROW(check(mutant));
    }
    ++files;
  }
  CHECK(files >= atLeast);
}

} // namespace matrixos::fuzz
