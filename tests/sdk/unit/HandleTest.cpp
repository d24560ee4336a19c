#include <matrixos/handle.hpp>

#include <doctest/doctest.h>
#include <regex.h>

#include <random>
#include <string>

using matrixos::isHandle;
using matrixos::isReservedHandle;

namespace {

/// The grammar as it is written down, beside the hand-written check.
class Grammar {
public:
  Grammar() { REQUIRE(::regcomp(&regex_, "^[a-z0-9](-?[a-z0-9]){2,30}$", REG_EXTENDED | REG_NOSUB) == 0); }
  ~Grammar() { ::regfree(&regex_); }
  Grammar(const Grammar &) = delete;
  Grammar &operator=(const Grammar &) = delete;

  bool accepts(const std::string &text) const {
    return text.size() <= 32 && text.compare(0, 4, "xn--") != 0 && ::regexec(&regex_, text.c_str(), 0, nullptr, 0) == 0;
  }

private:
  regex_t regex_{};
};

} // namespace

TEST_CASE("edges of the grammar") {
  for (const std::string good : {"abc", "a1b", "000", "a-b-c", "abcdefghijklmnopqrstuvwxyz01234", "xn-a"})
    CHECK_MESSAGE(isHandle(good), good);
  for (const std::string bad :
       {"", "a", "ab", "a-b", "-abc", "abc-", "a--bc", "Abc", "a_bc", "a.bc", "a/bc", "..", "abc\n", "xn--abc", "äbc",
        "abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz0123456"})
    CHECK_MESSAGE(!isHandle(bad), bad);
  CHECK_FALSE(isHandle(std::string_view("abc\0", 4)));
  const std::string thirtyOneAndDash = std::string(30, 'a') + "-a";
  CHECK(thirtyOneAndDash.size() == 32);
  CHECK(isHandle(thirtyOneAndDash));
}

TEST_CASE("the check agrees with the grammar on 100,000 generated words") {
  std::mt19937 random(20240229); // fixed: a failure can be repeated
  // Mostly letters of the grammar, so that many words are accepted and others fail late.
  static constexpr char kAlphabet[] = "abcxnyz0189-----AZ_. /\\\n\x80";
  std::uniform_int_distribution<std::size_t> length(0, 34);
  std::uniform_int_distribution<std::size_t> anyLetter(0, sizeof kAlphabet - 2);
  std::uniform_int_distribution<std::size_t> goodLetter(0, 11);
  const Grammar grammar;
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string word(length(random), ' ');
    const bool mostlyGood = i % 4 != 0;
    for (char &c : word)
      c = kAlphabet[mostlyGood ? goodLetter(random) : anyLetter(random)];
    if (i % 50 == 0) word.insert(0, "xn--");
    const bool expected = grammar.accepts(word);
    accepted += expected ? 1 : 0;
    if (isHandle(word) != expected) FAIL("they differ on " << word);
  }
  // Both answers have to occur often, or the comparison shows nothing.
  CHECK(accepted > 10'000);
  CHECK(accepted < 90'000);
}

TEST_CASE("names of the platform are reserved") {
  for (const char *name : {"api", "www", "admin", "localhost", "proxy", "status"})
    CHECK(isReservedHandle(name));
  CHECK_FALSE(isReservedHandle("alice"));
  CHECK_FALSE(isReservedHandle("api-x"));
}
