#include <ai-gateway/money/OutputHistory.h>
#include <doctest/doctest.h>

#include <string>

using namespace matrixos::gateway;

TEST_CASE("output history: the 95th percentile of the last hundred") {
  OutputHistory history;
  CHECK_FALSE(history.percentile("u", "m"));
  history.add("u", "m", 7);
  CHECK(history.percentile("u", "m") == 7);
  for (std::uint32_t i = 1; i <= 100; ++i)
    history.add("u", "m", 101 - i);
  CHECK(history.percentile("u", "m") == 95);
  for (std::uint32_t i = 0; i < 5; ++i)
    history.add("u", "m", 1'000); // in place of 100 to 96
  CHECK(history.percentile("u", "m") == 95);
  history.add("u", "m", 1'000);
  CHECK(history.percentile("u", "m") == 1'000);
}

TEST_CASE("output history: users and models do not share") {
  OutputHistory history;
  history.add("a", "bc", 1);
  history.add("ab", "c", 2);
  history.add("a", "b", 3);
  CHECK(history.percentile("a", "bc") == 1);
  CHECK(history.percentile("ab", "c") == 2);
  CHECK(history.percentile("a", "b") == 3);
  CHECK_FALSE(history.percentile("a", "c"));
}

TEST_CASE("output history: what was used longest ago is forgotten") {
  OutputHistory history(3);
  for (const char *user : {"a", "b", "c", "a", "d"})
    history.add(user, "m", 1);
  CHECK(history.percentile("a", "m"));
  CHECK_FALSE(history.percentile("b", "m"));
  CHECK(history.percentile("c", "m"));
  CHECK(history.percentile("d", "m"));
  for (int i = 0; i < 1'000; ++i)
    history.add("user", "model" + std::to_string(i), 1);
  CHECK_FALSE(history.percentile("d", "m"));
  CHECK(history.percentile("user", "model997"));
  CHECK_FALSE(history.percentile("user", "model996"));
}
