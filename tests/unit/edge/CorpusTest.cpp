#include "fuzz/edge/Checks.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

namespace fs = std::filesystem;

namespace {

std::string slurp(const fs::path &file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A copy with a few bytes changed, cut out or doubled: a poor man's fuzzer that runs in every build.
std::string mutate(std::string text, std::mt19937 &random) {
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

void replay(const char *folder, void (*check)(std::string_view), std::size_t atLeast) {
  std::mt19937 random(20240607);
  std::size_t files = 0;
  for (const auto &entry : fs::directory_iterator(fs::path(CORPUS_DIR) / folder)) {
    const std::string text = slurp(entry.path());
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

} // namespace

TEST_CASE("the committed corpora and their mutants hold every invariant") {
  namespace fuzz = matrixos::edge::fuzz;
  replay("request", fuzz::checkRequest, 15);
  replay("response", fuzz::checkResponse, 10);
  replay("chunked", fuzz::checkChunked, 10);
  replay("frames", fuzz::checkFrames, 5);
  replay("preface", fuzz::checkPreface, 6);
  replay("exchange", fuzz::checkExchange, 25);
}
