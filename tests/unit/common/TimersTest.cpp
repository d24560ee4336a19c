#include "common/Timers.h"

#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <random>
#include <vector>

using namespace matrixos;
using namespace matrixos::common;
using namespace matrixos::test;
using namespace std::chrono_literals;

TEST_CASE("a timer runs once after its delay and is stale then") {
  Executor executor;
  Timers timers(executor);
  std::atomic<int> runs{0};
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<bool> early{false};
  const auto handle = timers.schedule(kCoreOwner, 20ms, 0ms, [&] {
    early = std::chrono::steady_clock::now() - begin < 20ms;
    ++runs;
  });
  CHECK(handle != 0);
  CHECK(eventually([&] { return runs == 1; }));
  CHECK_FALSE(early);
  CHECK(eventually([&] { return timers.size() == 0; }));
  CHECK(statusOf([&] { timers.cancel(handle); }) == Status::NotFound);
  CHECK(statusOf([&] { timers.cancel(0); }) == Status::NotFound);
  CHECK(statusOf([&] { timers.schedule(kCoreOwner, -1ms, 0ms, [] {}); }) == Status::InvalidArgument);
}

TEST_CASE("timers run in the order they are due, whatever the order they were made in") {
  Executor executor({.threads = 1});
  Timers timers(executor);
  std::vector<int> order;
  std::atomic<int> runs{0};
  for (const int ms : {60, 20, 40, 0}) {
    timers.schedule(kCoreOwner, std::chrono::milliseconds(ms), 0ms, [&, ms] {
      order.push_back(ms);
      ++runs;
    });
  }
  CHECK(eventually([&] { return runs == 4; }));
  CHECK(executor.waitIdle(kCoreOwner, kPatience));
  CHECK(order == std::vector<int>{0, 20, 40, 60});
}

TEST_CASE("a periodic timer never overlaps itself and does not make up for what it missed") {
  Executor executor;
  Timers timers(executor);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> runs{0};
  Gate gate;
  const auto handle = timers.schedule(kCoreOwner, 0ms, 1ms, [&] {
    most = std::max(most.load(), ++inside);
    if (++runs == 1) gate.wait();
    --inside;
  });
  REQUIRE(eventually([&] { return runs == 1; }));
  // Many turns pass while the first run is held.
  std::atomic<int> ticks{0};
  const auto clock = timers.schedule(makeOwner(), 0ms, 1ms, [&] { ++ticks; });
  REQUIRE(eventually([&] { return ticks >= 50; }));
  CHECK(runs == 1);
  const int before = ticks;
  gate.open();
  REQUIRE(eventually([&] { return ticks >= before + 5; }));
  // Both have the same period. Made up for, the 50 missed turns would come on top.
  const int after = runs;
  CHECK(after < ticks - before + 25);
  timers.cancel(handle);
  timers.cancel(clock);
  CHECK(most == 1);
}

TEST_CASE("after cancel the callback neither runs nor will run") {
  Executor executor({.threads = 4});
  Timers timers(executor);
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    // Freed after the cancel: a run that comes late is a use after free, which the sanitizers see.
    auto alive = std::make_unique<std::atomic<bool>>(true);
    std::atomic<bool> *flag = alive.get();
    std::atomic<int> wrong{0};
    const auto handle = timers.schedule(kCoreOwner, 0ms, 1ms, [flag, &wrong] {
      if (!flag->load()) ++wrong;
      std::this_thread::sleep_for(100us);
      if (!flag->load()) ++wrong;
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    timers.cancel(handle);
    alive->store(false);
    alive.reset();
    CHECK(wrong == 0);
  }
  CHECK(timers.size() == 0);
}

TEST_CASE("cancel waits for a run that is going on") {
  Executor executor;
  Timers timers(executor);
  Gate gate;
  std::atomic<bool> started{false};
  std::atomic<bool> ended{false};
  // Periodic, so that its handle is good however late the canceller comes.
  const auto handle = timers.schedule(kCoreOwner, 0ms, 1h, [&] {
    started = true;
    gate.wait();
    ended = true;
  });
  REQUIRE(eventually([&] { return started.load(); }));
  std::atomic<bool> endedBefore{false};
  std::thread canceller([&] {
    timers.cancel(handle);
    endedBefore = ended.load();
  });
  std::this_thread::sleep_for(20ms); // gives a cancel that does not wait the time to show it
  gate.open();
  canceller.join();
  CHECK(endedBefore);
}

TEST_CASE("a callback may cancel its own timer") {
  Executor executor;
  Timers timers(executor);
  std::atomic<int> runs{0};
  std::atomic<Timers::Handle> handle{0};
  handle = timers.schedule(kCoreOwner, 5ms, 1ms, [&] {
    while (handle == 0)
      std::this_thread::yield();
    ++runs;
    timers.cancel(handle);
  });
  CHECK(eventually([&] { return timers.size() == 0; }));
  CHECK(runs == 1);
}

TEST_CASE("a sweep takes one owner's timers, and says when one still runs") {
  Executor executor;
  Timers timers(executor);
  const Owner mine = makeOwner();
  const Owner other = makeOwner();
  Gate gate;
  std::atomic<int> started{0};
  std::atomic<int> others{0};
  for (int i = 0; i < 2; ++i) {
    timers.schedule(mine, 0ms, 1ms, [&] {
      ++started;
      gate.wait();
    });
  }
  timers.schedule(mine, 1h, 0ms, [&] { started = 100; });
  const auto kept = timers.schedule(other, 0ms, 1ms, [&] { ++others; });
  REQUIRE(eventually([&] { return started == 2; }));
  CHECK(statusOf([&] { timers.cancel(mine, kept); }) == Status::NotFound);
  CHECK_FALSE(timers.sweep(mine, 1ms));
  gate.open();
  CHECK(timers.sweep(mine, kPatience));
  CHECK(timers.size() == 1);
  const int before = others;
  CHECK(eventually([&] { return others > before; }));
  CHECK(started == 2);
}

TEST_CASE("a full queue delays a run, a closed owner ends it") {
  Executor executor({.threads = 1, .queuedPerOwner = 1});
  Timers timers(executor);
  const Owner owner = makeOwner();
  Gate gate;
  executor.submit(owner, [&] { gate.wait(); });
  REQUIRE(eventually([&] { return executor.counts(owner).running == 1; }));
  std::atomic<int> runs{0};
  for (int i = 0; i < 5; ++i)
    timers.schedule(owner, 0ms, 0ms, [&] { ++runs; });
  REQUIRE(eventually([&] { return executor.counts(owner).queued == 1; }));
  gate.open();
  CHECK(eventually([&] { return runs == 5; }));
  executor.close(owner);
  timers.schedule(owner, 0ms, 0ms, [&] { ++runs; });
  CHECK(eventually([&] { return timers.size() == 0; }));
  CHECK(runs == 5);
}

TEST_CASE("the end of the timers waits for their callbacks") {
  Executor executor;
  std::atomic<bool> ended{false};
  {
    Timers timers(executor);
    std::atomic<bool> started{false};
    timers.schedule(kCoreOwner, 0ms, 1ms, [&] {
      started = true;
      std::this_thread::sleep_for(2ms);
      ended = true;
    });
    REQUIRE(eventually([&] { return started.load(); }));
  }
  CHECK(ended);
}

TEST_CASE("manual time stands still, and goes through what comes due in its order") {
  Executor executor;
  Timers timers(executor, Timers::ManualTime{});
  std::vector<std::string> ran; // timers run one after the other, so nobody else writes it
  const auto note = [&](const char *what) { return [&ran, what] { ran.emplace_back(what); }; };
  const std::int64_t before = timers.wallClockMs();
  timers.schedule(kCoreOwner, 1h, 0ms, note("hour"));
  timers.schedule(kCoreOwner, 20min, 20min, note("tick"));
  timers.schedule(kCoreOwner, 30min, 0ms, [&] {
    ran.emplace_back("half");
    timers.schedule(kCoreOwner, 5min, 0ms, note("after half")); // counts from its time
  });
  CHECK(timers.advance(19min, kPatience));
  CHECK(ran.empty());
  CHECK(timers.advance(1min, kPatience));
  CHECK(ran == std::vector<std::string>{"tick"});
  CHECK(timers.advance(41min, kPatience));
  CHECK(ran.size() == 6);
  CHECK(std::vector<std::string>(ran.begin(), ran.begin() + 4) ==
        std::vector<std::string>{"tick", "half", "after half", "tick"});
  CHECK(timers.wallClockMs() - before >= 61 * 60'000);
  CHECK(statusOf([&] { timers.advance(-1ms, kPatience); }) == Status::InvalidArgument);
  Timers real(executor);
  CHECK(statusOf([&] { real.advance(1ms, kPatience); }) == Status::FailedPrecondition);
}

TEST_CASE("manual time stops at a timer that does not return") {
  Executor executor;
  Timers timers(executor, Timers::ManualTime{1h});
  Gate gate;
  std::atomic<int> later{0};
  timers.schedule(kCoreOwner, 1s, 0ms, [&] { gate.wait(); });
  timers.schedule(kCoreOwner, 2s, 0ms, [&] { ++later; });
  CHECK_FALSE(timers.advance(10s, 20ms));
  CHECK(later == 0);
  gate.open();
  CHECK(timers.advance(10s, kPatience));
  CHECK(later == 1);
}
