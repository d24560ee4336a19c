#include "Fakes.h"

#include <doctest/doctest.h>
#include <lifecycle/IdlePolicy.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::lifecycle;
using namespace matrixos::lifecycle::test;
using namespace std::chrono_literals;
using matrixos::Error;
using matrixos::InstanceRecord;
using matrixos::Status;

namespace {

constexpr std::size_t kStops = 3;

struct Bench {
  ManualClock clock;
  InstanceIndex index;
  ActivityLedger ledger;
  FakePlatform platform;
  std::vector<IdlePolicy::Result> results;
  std::shared_ptr<IdlePolicy> policy = std::make_shared<IdlePolicy>(
      clock, index, ledger, platform, IdlePolicy::Settings{5min, 30min, kStops},
      [this](std::string_view, IdlePolicy::Result result, const Error *) { results.push_back(result); });

  void put(const std::string &handle, const std::string &status, std::uint64_t rev = 1) {
    platform.put(handle, status, rev);
    index.apply(InstanceRecord::parse(platform.fetch(handle)));
    if (status == "running") ledger.touch(handle, clock.bootMs());
  }
  /// What the proxy does for each request.
  void use(const std::string &handle) {
    if (ledger.note(handle, 1, 1, clock.bootMs())) platform.record({{handle, 1, 1}});
  }
};

} // namespace

TEST_CASE("an idle instance is stopped at the first check after its time") {
  Bench bench;
  bench.put("alice", "running");
  bench.clock.advance(29min);
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  bench.clock.advance(2min); // idle for 31 minutes, but the last check was 2 minutes ago
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  bench.clock.advance(3min);
  bench.policy->tick();
  CHECK(bench.platform.stopped() == std::vector<std::string>{"alice"});
  CHECK(bench.results == std::vector{IdlePolicy::Result::Stopped});
}

TEST_CASE("an exchange that is under way is use for as long as something moves, and silent for silent_stream") {
  Bench bench;
  bench.put("alice", "running");
  const auto openFor = [&](std::chrono::minutes time, bool moves) {
    for (std::chrono::milliseconds at{0}; at < time; at += 500ms) {
      bench.clock.advance(500ms);
      bench.ledger.noteOpen("alice", bench.clock.bootMs());
      if (moves && at % 1min == 0ms) bench.use("alice");
      bench.policy->tick();
    }
  };
  openFor(5h, true);
  CHECK(bench.platform.stopped().empty());
  openFor(88min, false); // an hour of silence is use, and then it may be idle for half an hour
  CHECK(bench.platform.stopped().empty());
  SUBCASE("silence has an end") {
    openFor(10min, false);
    CHECK(bench.platform.stopped() == std::vector<std::string>{"alice"});
  }
  SUBCASE("what moves begins it anew") {
    bench.use("alice");
    openFor(88min, false);
    CHECK(bench.platform.stopped().empty());
  }
  SUBCASE("silence may be no use at all") {
    bench.policy->configure({5min, 30min, kStops, 0ms});
    openFor(5min, false);
    CHECK(bench.platform.stopped() == std::vector<std::string>{"alice"});
  }
}

TEST_CASE("the end of an exchange begins the idle time") {
  Bench bench;
  bench.put("alice", "running");
  for (int half = 0; half < 2 * 50 * 60; ++half) {
    bench.clock.advance(500ms);
    bench.ledger.noteOpen("alice", bench.clock.bootMs());
  }
  CHECK(bench.policy->idleFor("alice") == 0ms);
  bench.clock.advance(29min);
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  bench.clock.advance(6min);
  bench.policy->tick();
  CHECK(bench.platform.stopped() == std::vector<std::string>{"alice"});
}

TEST_CASE("a used instance stays") {
  Bench bench;
  bench.put("alice", "running");
  for (int i = 0; i < 20; ++i) {
    bench.clock.advance(10min);
    bench.use("alice");
    bench.policy->tick();
  }
  CHECK(bench.platform.stopped().empty());
}

TEST_CASE("only what runs is stopped") {
  Bench bench;
  for (const char *status : {"provisioning", "stopped", "sleeping", "failed", "deleting"})
    bench.put(status, status);
  bench.clock.advance(24h);
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  CHECK(bench.results.empty());
}

TEST_CASE("the record decides over a stale index") {
  Bench bench;
  bench.put("alice", "running");
  bench.platform.put("alice", "stopped", 2); // the watch has not told yet
  bench.clock.advance(1h);
  bench.policy->tick();
  CHECK(bench.results.empty());
}

TEST_CASE("time spent suspended counts, and a restart counts from now") {
  Bench bench;
  bench.put("alice", "running");
  bench.clock.suspend(1h);
  const auto restarted = std::make_shared<IdlePolicy>(bench.clock, bench.index, bench.ledger, bench.platform,
                                                      IdlePolicy::Settings{5min, 30min},
                                                      [](std::string_view, IdlePolicy::Result, const Error *) {});
  CHECK(bench.policy->idleFor("alice") == 1h);
  CHECK(restarted->idleFor("alice") == 0ms);
  bench.clock.advance(6min);
  restarted->tick();
  CHECK(bench.platform.stopped().empty());
  bench.policy->tick();
  CHECK(bench.platform.stopped().size() == 1);
}

TEST_CASE("a request between the decision and the stop wins") {
  Bench bench;
  bench.put("alice", "running");
  bench.clock.advance(1h);
  bench.platform.beforeStop([&] { bench.use("alice"); });
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  CHECK(bench.results == std::vector{IdlePolicy::Result::Used});
  CHECK(bench.platform.recorded("alice") == 1);
  // The hold is over: uses are gathered again.
  bench.use("alice");
  CHECK(bench.ledger.take().size() == 1);
}

TEST_CASE("a use that was not passed on yet keeps the instance, and is passed on") {
  Bench bench;
  bench.put("alice", "running");
  bench.clock.advance(1h);
  bench.use("alice");
  bench.policy->tick();
  CHECK(bench.results.empty());
  bench.clock.advance(1h);
  bench.policy->tick();
  CHECK(bench.platform.stopped().size() == 1);
  CHECK(bench.platform.recorded("alice") == 1);
}

TEST_CASE("a timeout of zero stops nobody, and settings are taken over live") {
  Bench bench;
  bench.put("alice", "running");
  bench.policy->configure({5min, 0ms, kStops});
  bench.clock.advance(1000h);
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  bench.policy->configure({1min, 2000h, kStops});
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  bench.policy->configure({1min, 1h, kStops});
  bench.clock.advance(1min);
  bench.policy->tick();
  CHECK(bench.platform.stopped().size() == 1);
}

TEST_CASE("few stops run at a time, the longest idle first") {
  Bench bench;
  bench.platform.holdStops();
  const std::size_t many = kStops + 2;
  for (std::size_t i = 0; i < many; ++i) {
    bench.put("user-" + std::to_string(i), "running");
    bench.clock.advance(1s);
  }
  bench.clock.advance(1h);
  bench.policy->tick();
  CHECK(bench.platform.heldStops() == kStops);
  bench.policy->tick();
  CHECK(bench.platform.heldStops() == kStops);
  for (std::size_t i = 0; i < kStops; ++i)
    bench.platform.answerStop();
  bench.policy->tick();
  CHECK(bench.platform.heldStops() == 2);
  CHECK(bench.platform.nextStop() == "user-" + std::to_string(kStops)); // used a second after the one before it
  bench.platform.answerStop();
  bench.platform.answerStop();
  CHECK(bench.results.size() == many);
}

TEST_CASE("a full orchestrator is asked again at the next tick, a failing one at the next check") {
  Bench bench;
  bench.put("alice", "running");
  bench.clock.advance(1h);
  bench.platform.failStops(Error(Status::ResourceExhausted, "full"));
  bench.policy->tick();
  CHECK(bench.results.empty());
  bench.platform.failStops(Error(Status::Unavailable, "engine gone"));
  bench.policy->tick();
  CHECK(bench.results == std::vector{IdlePolicy::Result::Failed});
  bench.platform.failStops(std::nullopt);
  bench.policy->tick();
  CHECK(bench.platform.stopped().empty());
  bench.clock.advance(5min);
  bench.policy->tick();
  CHECK(bench.platform.stopped().size() == 1);
}

TEST_CASE("an answer after the end finds nobody") {
  Bench bench;
  bench.platform.holdStops();
  bench.put("alice", "running");
  bench.clock.advance(1h);
  bench.policy->tick();
  bench.policy.reset();
  bench.platform.answerStop();
  CHECK(bench.results.empty());
}

TEST_CASE("under races the stop never beats a request that came first") {
  // Each round the policy decides while a user makes a request. Either the stop was refused, or the request came
  // after the stop had won, and then the sequence had not moved.
  for (int round = 0; round < 300; ++round) {
    Bench bench;
    bench.put("alice", "running");
    bench.clock.advance(1h);
    std::atomic<bool> usedBeforeCompare{false};
    std::atomic<bool> used{false};
    bench.platform.beforeStop([&] { usedBeforeCompare = used.load(); });
    std::thread user([&] {
      bench.use("alice");
      used = true;
    });
    bench.policy->tick();
    user.join();
    if (usedBeforeCompare) CHECK(bench.platform.stopped().empty());
  }
}
