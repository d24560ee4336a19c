#include "http/RateTable.h"

#include "common/SipHash.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace matrixos;
using api::RateTable;

namespace {

/// A table whose clock the test moves.
struct Buckets {
  RateTable table;
  RateTable::Time now = 1h;

  RateTable::Verdict take(std::uint64_t key, Rate rate) { return table.take(key, rate, now); }
  /// How many in a row are allowed.
  std::uint32_t burst(std::uint64_t key, Rate rate) {
    std::uint32_t count = 0;
    while (take(key, rate).allowed)
      ++count;
    return count;
  }
};

/// Keys as the server makes them, the same in each run.
std::uint64_t keyOf(std::uint64_t number) {
  static const common::SipHash hash(1, 2);
  return hash({reinterpret_cast<const char *>(&number), sizeof number});
}

} // namespace

TEST_CASE("a bucket holds exactly as many as its rate says, whatever the rate") {
  for (const Rate rate : {Rate{1, 1000}, Rate{1, 86'400'000}, Rate{3, 60'000}, Rate{7, 60'000}, Rate{600, 60'000},
                          Rate{999, 1000}, Rate{1'000'000, 1000}, Rate{1'000'000, 86'400'000}}) {
    CAPTURE(rate.count);
    CAPTURE(rate.periodMs);
    Buckets buckets;
    CHECK(buckets.burst(5, rate) == rate.count);
    // And again once it is full again, also when that was long ago.
    for (const auto pause : {std::chrono::milliseconds(rate.periodMs), std::chrono::milliseconds(30 * 86'400'000LL)}) {
      buckets.now += pause;
      CHECK(buckets.burst(5, rate) == rate.count);
    }
  }
}

TEST_CASE("what was taken comes back evenly, to the nanosecond") {
  Buckets buckets;
  const Rate rate{600, 60'000};
  buckets.burst(5, rate);
  buckets.now += 100ms - 1ns;
  const auto early = buckets.take(5, rate);
  CHECK_FALSE(early.allowed);
  CHECK(early.wait == 1ns);
  CHECK(early.left == 0);
  CHECK(early.reset == 60s - 100ms + 1ns);
  buckets.now += 1ns;
  CHECK(buckets.burst(5, rate) == 1);
  buckets.now += 30s;
  CHECK(buckets.burst(5, rate) == 300);
  buckets.now += 250ms;
  const auto next = buckets.take(5, rate);
  CHECK(next.allowed);
  CHECK(next.left == 1);
  CHECK(next.wait == 0s);
  CHECK(next.reset == 60s - 150ms);
}

TEST_CASE("over any time, never more than the bucket and what came back") {
  Buckets buckets;
  const Rate rate{50, 10'000};
  std::mt19937_64 random(7);
  std::uint64_t allowed = 0;
  const auto start = buckets.now;
  for (int i = 0; i < 100'000; ++i) {
    buckets.now += std::chrono::nanoseconds(random() % 20'000'000);
    if (buckets.take(5, rate).allowed) ++allowed;
    const auto refilled = static_cast<std::uint64_t>((buckets.now - start) / 200ms);
    REQUIRE(allowed <= 50 + refilled);
  }
  // Who always asks for more gets all of it.
  CHECK(allowed == 50 + static_cast<std::uint64_t>((buckets.now - start) / 200ms));
}

TEST_CASE("what is refused costs nothing") {
  Buckets buckets;
  const Rate rate{2, 2000};
  buckets.burst(5, rate);
  for (int i = 0; i < 1000; ++i)
    CHECK(buckets.take(5, rate).wait == 1s);
}

TEST_CASE("a clock that goes back gives nothing and takes nothing") {
  Buckets buckets;
  const Rate rate{2, 2000};
  buckets.burst(5, rate);
  buckets.now -= 10min;
  CHECK(buckets.take(5, rate).wait == 1s);
  CHECK(buckets.burst(6, rate) == 2);
  buckets.now += 10min + 1s;
  CHECK(buckets.burst(5, rate) == 1);
  CHECK(buckets.burst(6, rate) == 1);
}

TEST_CASE("another rate counts at once") {
  Buckets buckets;
  buckets.burst(5, {10, 86'400'000});
  // Of a day's debt as much is left as the shorter time can hold.
  CHECK(buckets.take(5, {60, 60'000}).wait == 1s);
  buckets.now += 60s;
  CHECK(buckets.burst(5, {60, 60'000}) == 60);
  CHECK(buckets.burst(5, {120, 120'000}) == 60);
}

TEST_CASE("an empty bucket stays empty under a million other keys") {
  Buckets buckets;
  const Rate rate{5, 600'000};
  CHECK(buckets.burst(keyOf(0), rate) == 5);
  for (std::uint64_t i = 1; i <= 1'000'000; ++i) {
    buckets.now += 10us;
    // Those that come are served: no room is no reason to refuse.
    REQUIRE(buckets.take(keyOf(i), rate).allowed);
    if (i % 1000 == 0) REQUIRE_FALSE(buckets.take(keyOf(0), rate).allowed);
  }
  buckets.now += 110s;
  CHECK(buckets.burst(keyOf(0), rate) == 1);
}

TEST_CASE("no empty bucket of a crowd is forgotten while half of the table is full") {
  Buckets buckets;
  const Rate rate{2, 600'000};
  constexpr std::uint64_t kCrowd = RateTable::kEntries / 2;
  for (std::uint64_t i = 0; i < kCrowd; ++i)
    REQUIRE(buckets.burst(keyOf(i), rate) == 2);
  for (std::uint64_t i = 0; i < 100'000; ++i)
    buckets.take(keyOf(kCrowd + i), rate);
  for (std::uint64_t i = 0; i < kCrowd; ++i)
    REQUIRE_FALSE(buckets.take(keyOf(i), rate).allowed);
}

TEST_CASE("where all owe, the one makes way that owes least") {
  RateTable table(16);
  const Rate rate{100, 100'000};
  // All keys of a table of two places that share both.
  const auto key = [](std::uint64_t i) { return (i << 1) | (1ULL << 32); };
  for (std::uint64_t i = 0; i < 16; ++i) {
    for (std::uint64_t n = 0; n < (i == 9 ? 1 : 50); ++n)
      table.take(key(i), rate, 1h);
  }
  CHECK(table.take(key(20), rate, 1h).left == 99);
  CHECK(table.take(key(9), rate, 1h).left == 99); // forgotten, and it took the newcomer's place
  CHECK(table.take(key(0), rate, 1h).left == 49);
  CHECK(table.take(key(15), rate, 1h).left == 49);
}

TEST_CASE("the keys' order does not matter to who is forgotten: zero is a key like others") {
  Buckets buckets;
  CHECK(buckets.burst(0, {3, 3000}) == 3);
  CHECK(buckets.burst(0, {3, 3000}) == 0);
  CHECK_THROWS_AS(RateTable(8), Error);
  CHECK_THROWS_AS(RateTable(100), Error);
}
