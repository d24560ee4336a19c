#include <doctest/doctest.h>
#include <lifecycle/ActivityLedger.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

using namespace matrixos::lifecycle;

TEST_CASE("uses are summed up until they are taken") {
  ActivityLedger ledger;
  CHECK_FALSE(ledger.note("alice", 1000, 2, 50));
  CHECK_FALSE(ledger.note("alice", 900, 0, 60)); // 0 counts as 1
  CHECK_FALSE(ledger.note("bob", 1500, 1, 70));
  auto uses = ledger.take();
  REQUIRE(uses.size() == 2);
  const PendingUse &alice = uses[0].handle == "alice" ? uses[0] : uses[1];
  CHECK(alice.atMs == 1000);
  CHECK(alice.count == 3);
  CHECK(ledger.take().empty());
  CHECK(ledger.lastSeen("alice", 0) == 60);
  CHECK_FALSE(ledger.lastSeen("carol", 0).has_value());
  ledger.putBack(std::move(uses));
  CHECK(ledger.take().size() == 2);
}

TEST_CASE("counts do not wrap") {
  ActivityLedger ledger;
  const auto most = std::numeric_limits<std::uint64_t>::max();
  CHECK_FALSE(ledger.note("alice", 1, most, 1));
  CHECK_FALSE(ledger.note("alice", 1, most, 1));
  CHECK(ledger.take("alice")->count == most);
  CHECK(ledger.recent("alice").back().count == most);
}

TEST_CASE("a held instance's uses are passed on at once") {
  ActivityLedger ledger;
  ledger.hold("alice");
  CHECK(ledger.note("alice", 1, 1, 10));
  CHECK(ledger.touch("alice", 11));
  CHECK(ledger.take().empty());
  ledger.forget("alice", 1000); // not while it is held
  CHECK(ledger.lastSeen("alice", 0) == 11);
  ledger.release("alice");
  CHECK_FALSE(ledger.note("alice", 1, 1, 12));
  CHECK(ledger.take().size() == 1);
}

TEST_CASE("the recent uses are bounded") {
  ActivityLedger ledger;
  for (std::int64_t minute = 0; minute < 100; ++minute)
    CHECK_FALSE(ledger.note("alice", minute * 60'000, 1, minute));
  const auto buckets = ledger.recent("alice");
  REQUIRE(buckets.size() == ActivityLedger::kBuckets);
  CHECK(buckets.front().atMs == 90 * 60'000);
  CHECK(buckets.back().atMs == 99 * 60'000);
}

TEST_CASE("who was not seen for long is found, the longest ago first, and forgotten unless seen since") {
  ActivityLedger ledger;
  CHECK_FALSE(ledger.note("newborn", 1, 1, 100));
  CHECK_FALSE(ledger.note("alice", 1, 1, 20));
  CHECK_FALSE(ledger.note("ghost", 1, 1, 10));
  CHECK(ledger.seenBefore(50, 0) == std::vector<std::string>{"ghost", "alice"});
  ledger.forget("ghost", 50);
  ledger.touch("alice", 60);
  ledger.forget("alice", 50);
  ledger.forget("nobody", 50);
  CHECK_FALSE(ledger.lastSeen("ghost", 0).has_value());
  CHECK(ledger.lastSeen("alice", 0).has_value());
  CHECK(ledger.seenBefore(50, 0).empty());
}

TEST_CASE("no use is lost between threads") {
  ActivityLedger ledger;
  constexpr int kThreads = 8, kRounds = 2000;
  std::atomic<std::uint64_t> passedOn{0};
  std::atomic<bool> done{false};
  std::thread taker([&] {
    bool last = false;
    while (!last) {
      last = done.load();
      for (const PendingUse &use : ledger.take())
        passedOn += use.count;
    }
  });
  std::thread holder([&] {
    while (!done) {
      ledger.hold("h1");
      if (const auto use = ledger.take("h1")) passedOn += use->count;
      ledger.release("h1");
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        if (ledger.note("h" + std::to_string(i % 3), i, 1, i)) ++passedOn;
      }
    });
  }
  for (std::thread &writer : writers)
    writer.join();
  done = true;
  taker.join();
  holder.join();
  CHECK(passedOn == kThreads * kRounds);
}
