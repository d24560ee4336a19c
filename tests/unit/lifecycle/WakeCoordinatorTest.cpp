#include "Fakes.h"
#include "support/Errors.h"

#include <doctest/doctest.h>
#include <lifecycle/WakeCoordinator.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::lifecycle;
using namespace matrixos::lifecycle::test;
using namespace std::chrono_literals;
using matrixos::Completion;
using matrixos::Error;
using matrixos::InstanceRecord;
using matrixos::Status;
using matrixos::WakePhases;
using matrixos::test::statusOf;

namespace {

struct Bench {
  ManualClock clock;
  InstanceIndex index;
  FakePlatform platform;
  FakeProber prober;
  Answers answers;
  std::atomic<int> woken{0}, failed{0}, expired{0};
  WakePhases phases;
  std::shared_ptr<WakeCoordinator> wakes =
      std::make_shared<WakeCoordinator>(clock, index, platform, prober, WakeCoordinator::Settings{60s, 1000},
                                        [this](WakeCoordinator::Event event, const WakePhases &took) {
                                          if (event == WakeCoordinator::Event::Woken) {
                                            ++woken;
                                            phases = took;
                                          } else if (event == WakeCoordinator::Event::StartFailed) {
                                            ++failed;
                                          } else {
                                            ++expired;
                                          }
                                        });

  std::uint64_t ensure(const std::string &handle, const std::string &endpoint = "gateway",
                       std::int64_t deadline = MOS_NO_DEADLINE) {
    Completion done = answers.completion();
    try {
      return wakes->ensure(handle, endpoint, deadline, done);
    } catch (...) {
      refused = std::move(done); // the border would not answer it
      refused = Completion(mos_completion{});
      throw;
    }
  }
  std::int64_t in(std::chrono::milliseconds time) const { return clock.monotonicNanos() + time.count() * 1'000'000; }
  /// What the orchestrator's watch says.
  void tell(const std::string &json) {
    const auto told = InstanceRecord::parse(json);
    if (index.apply(told).accepted) wakes->changed(told, json);
  }
  /// A start that succeeds: the watch says so, too.
  void runs(const std::string &handle, std::uint64_t rev) {
    platform.put(handle, "running", rev, bothEndpoints("e" + std::to_string(rev)));
    tell(platform.fetch(handle));
    platform.answerStart();
  }

  Completion refused{mos_completion{}};
};

} // namespace

TEST_CASE("a stopped instance is started, probed and handed out") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  CHECK(bench.ensure("alice") != 0);
  CHECK(bench.platform.startCount() == 1);
  CHECK(bench.prober.active() == 0);
  bench.clock.advance(3ms);
  bench.tell(R"({"id":"01Jalice","handle":"alice","status":"stopped","phase":"starting","rev":2})");
  bench.clock.advance(230ms);
  bench.runs("alice", 3);
  CHECK(bench.answers.count() == 0);
  REQUIRE(bench.prober.active() == 1);
  bench.clock.advance(40ms);
  CHECK(bench.prober.answer());
  CHECK(bench.answers.count(Status::Ok) == 1);
  const std::string json = bench.answers.lastJson();
  CHECK(json.find(R"("phases":{"queueMs":3,"engineMs":230,"readyMs":40})") != std::string::npos);
  CHECK(json.find(R"("instance":{"handle":"alice","status":"running")") != std::string::npos);
  CHECK(bench.woken == 1);
  CHECK(bench.phases.engineMs == 230);
  CHECK(bench.wakes->waiters() == 0);
}

TEST_CASE("what the watch says is enough to wake an instance: nobody asks for the record") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.tell(record("alice", "stopped", 1));
  CHECK(bench.ensure("alice") != 0);
  CHECK(bench.ensure("alice", "shell") != 0);
  CHECK(bench.platform.startCount() == 1);
  bench.platform.put("alice", "running", 3, bothEndpoints("e1"));
  bench.platform.answerStart();
  CHECK(bench.prober.begun() == 0); // the watch is a moment behind
  bench.tell(record("alice", "stopped", 2));
  CHECK(bench.platform.startCount() == 1); // it said so before the start
  const std::string told = record("alice", "running", 3, 7, bothEndpoints("e1"));
  bench.tell(told);
  CHECK(bench.ensure("alice") != 0);
  REQUIRE(bench.prober.active() == 2);
  CHECK(bench.prober.answer());
  CHECK(bench.answers.count(Status::Ok) == 2);
  CHECK(bench.answers.lastJson().find(R"({"instance":)" + told + R"(,"phases":{)") == 0);
  CHECK(bench.prober.answer());
  CHECK(bench.answers.count(Status::Ok) == 3);
  CHECK(bench.answers.lastJson().find(R"({"instance":)" + told + R"(,"phases":{)") == 0);
  CHECK(bench.platform.fetches() == 0);
}

TEST_CASE("that an instance answered before says nothing about now: who asks has been refused") {
  Bench bench;
  bench.platform.put("alice", "running", 1, bothEndpoints("e1"));
  CHECK(bench.ensure("alice") != 0);
  CHECK(bench.prober.answer());
  CHECK(bench.answers.count(Status::Ok) == 1);
  // Its program ends, or the engine starts it again, and the record says nothing of it.
  CHECK(bench.ensure("alice") != 0);
  CHECK(bench.ensure("alice") != 0);
  CHECK(bench.ensure("alice", "shell") != 0);
  CHECK(bench.answers.count() == 1);
  CHECK(bench.prober.begun() == 3); // one for each endpoint
  SUBCASE("it answers again") {
    CHECK(bench.prober.answer());
    CHECK(bench.answers.count(Status::Ok) == 3);
    CHECK(bench.prober.answer());
    CHECK(bench.answers.count(Status::Ok) == 4);
  }
  SUBCASE("it comes back elsewhere") {
    bench.tell(record("alice", "running", 2, 0, bothEndpoints("e2")));
    CHECK(bench.prober.begun() == 5);
    CHECK(bench.prober.takeFirst()->targets.front().epoch == "e2");
  }
  SUBCASE("it is stopped: then it is started") {
    bench.tell(record("alice", "stopped", 2));
    CHECK(bench.platform.startCount() == 1);
    return;
  }
  CHECK(bench.platform.startCount() == 0);
  CHECK(bench.woken == 0); // nothing was woken
}

TEST_CASE("two hundred callers at once are one start") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  std::vector<std::thread> callers;
  for (int i = 0; i < 200; ++i)
    callers.emplace_back([&, i] { bench.ensure("alice", i % 2 == 0 ? "gateway" : "shell"); });
  for (std::thread &caller : callers)
    caller.join();
  CHECK(bench.platform.startCount() == 1);
  CHECK(bench.wakes->waiters() == 200);
  bench.runs("alice", 2);
  CHECK(bench.prober.active() == 2);
  CHECK(bench.prober.answer());
  CHECK(bench.answers.count(Status::Ok) == 100);
  CHECK(bench.prober.answer());
  CHECK(bench.answers.count(Status::Ok) == 200);
  CHECK(bench.platform.startCount() == 1);
  CHECK(bench.woken == 1);
}

TEST_CASE("callers race the answers and each is answered once") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  std::atomic<bool> done{false};
  std::thread engine([&] {
    bool started = false;
    while (!done) {
      if (!started && bench.platform.startCount() == 1) {
        started = true;
        bench.runs("alice", 2);
      }
      bench.prober.answer();
      bench.wakes->expire();
    }
  });
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        const std::uint64_t ticket = bench.ensure("alice");
        if (round % 3 == 0 && ticket != 0) bench.wakes->forget(ticket);
      }
    });
  }
  for (std::thread &caller : callers)
    caller.join();
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (bench.answers.count() < 400 && std::chrono::steady_clock::now() < limit)
    std::this_thread::yield();
  done = true;
  engine.join();
  CHECK(bench.answers.count() == 400);
  CHECK(bench.answers.count(Status::Ok) + bench.answers.count(Status::Cancelled) == 400);
  CHECK(bench.platform.startCount() == 1);
}

TEST_CASE("a start that fails fails everybody, and the next caller starts anew") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.ensure("alice");
  bench.ensure("alice", "shell");
  bench.platform.answerStart(Error(Status::ResourceExhausted, "no memory left on this machine", "NO_MEMORY", 5000));
  CHECK(bench.answers.count(Status::Unavailable) == 2);
  CHECK(bench.answers.lastReason() == "NO_MEMORY");
  CHECK(bench.answers.lastMessage() == "no memory left on this machine");
  CHECK(bench.failed == 1);
  bench.ensure("alice");
  CHECK(bench.platform.startCount() == 2);
  bench.platform.answerStart(Error(Status::NotFound, "gone"));
  CHECK(bench.answers.count(Status::NotFound) == 1);
}

TEST_CASE("each caller's deadline is its own") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.ensure("alice", "gateway", bench.in(100ms));
  bench.ensure("alice", "gateway", bench.in(50ms));
  bench.ensure("alice", "gateway", bench.in(10s));
  CHECK(bench.prober.nudges() == 2); // only the first and the earlier one change when the loop has to wake
  CHECK(bench.wakes->expire() == bench.in(50ms));
  bench.clock.advance(60ms);
  CHECK(bench.wakes->expire() == bench.in(40ms));
  CHECK(bench.answers.count(Status::DeadlineExceeded) == 1);
  CHECK(bench.answers.lastReason() == "NOT_STARTED");
  bench.clock.advance(60ms);
  bench.wakes->expire();
  CHECK(bench.answers.count(Status::DeadlineExceeded) == 2);
  bench.runs("alice", 2);
  CHECK(bench.prober.answer());
  CHECK(bench.answers.count(Status::Ok) == 1);
  CHECK(bench.expired == 2);
  CHECK(bench.wakes->expire() == MOS_NO_DEADLINE);
}

TEST_CASE("an instance that never answers is given up after ready_timeout") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.ensure("alice");
  bench.clock.advance(50s); // a slow start does not eat the time to get ready
  bench.runs("alice", 2);
  bench.clock.advance(59s);
  bench.wakes->expire();
  CHECK(bench.answers.count() == 0);
  bench.clock.advance(2s);
  bench.wakes->expire();
  CHECK(bench.answers.count(Status::DeadlineExceeded) == 1);
  CHECK(bench.answers.lastReason() == "NOT_READY");
  CHECK(bench.prober.active() == 0);
  // It runs, so the next caller only probes, with a time of its own.
  bench.ensure("alice");
  CHECK(bench.platform.startCount() == 1);
  CHECK(bench.wakes->expire() == bench.in(60s));
}

TEST_CASE("a caller that leaves is told so, once") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  const auto first = bench.ensure("alice");
  const auto second = bench.ensure("alice");
  bench.wakes->forget(first);
  bench.wakes->forget(first);
  CHECK(bench.answers.count(Status::Cancelled) == 1);
  SUBCASE("the others are served") {
    bench.runs("alice", 2);
    CHECK(bench.prober.answer());
    CHECK(bench.answers.count(Status::Ok) == 1);
  }
  SUBCASE("a start under way is joined, not repeated") {
    bench.wakes->forget(second);
    bench.ensure("alice");
    CHECK(bench.platform.startCount() == 1);
    bench.runs("alice", 2);
    CHECK(bench.prober.active() == 1);
  }
  SUBCASE("without anybody left nothing is probed") {
    bench.wakes->forget(second);
    bench.runs("alice", 2);
    CHECK(bench.prober.begun() == 0);
  }
  SUBCASE("the last one out ends the probe") {
    bench.runs("alice", 2);
    CHECK(bench.prober.active() == 1);
    bench.wakes->forget(second);
    CHECK(bench.prober.active() == 0);
  }
  CHECK(bench.wakes->waiters() <= 1);
  bench.wakes->forget(12345);
}

TEST_CASE("late answers change nothing") {
  Bench bench;
  bench.platform.put("alice", "running", 1, bothEndpoints("e1"));
  const auto ticket = bench.ensure("alice");
  auto probe = bench.prober.takeFirst();
  REQUIRE(probe);
  bench.wakes->forget(ticket);
  probe->ready(probe->targets.front());
  CHECK(bench.answers.count() == 1);
  CHECK(bench.ensure("alice") != 0);
  bench.wakes->shutdown();
  CHECK(bench.answers.count(Status::Unavailable) == 1);
}

TEST_CASE("an instance destroyed meanwhile is not found") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.tell(bench.platform.fetch("alice"));
  bench.ensure("alice");
  SUBCASE("while it starts") {
    bench.tell(R"({"id":"01Jalice","handle":"alice","status":"deleted","rev":5})");
  }
  SUBCASE("while it is probed") {
    bench.runs("alice", 2);
    bench.tell(record("alice", "deleting", 5));
    CHECK(bench.prober.active() == 0);
  }
  SUBCASE("while the probe's answer is on its way") {
    bench.runs("alice", 2);
    const auto probe = bench.prober.takeFirst();
    bench.tell(record("alice", "deleting", 5));
    probe->ready(probe->targets.front());
  }
  CHECK(bench.answers.count(Status::NotFound) == 1);
  CHECK(bench.answers.count() == 1);
}

TEST_CASE("an instance that ends while it is probed is started again, but not for ever") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.ensure("alice");
  std::uint64_t rev = 1;
  for (std::size_t round = 1; round <= 3; ++round) {
    CHECK(bench.platform.startCount() == round);
    bench.runs("alice", ++rev);
    CHECK(bench.prober.active() == 1);
    bench.platform.put("alice", "stopped", ++rev);
    bench.tell(record("alice", "stopped", rev));
    CHECK(bench.prober.active() == 0);
  }
  CHECK(bench.platform.startCount() == 3);
  CHECK(bench.answers.count(Status::Unavailable) == 1);
  CHECK(bench.answers.lastReason() == "INSTANCE_ENDS");
  CHECK(bench.answers.lastMessage() == "the instance ended 3 times before it answered");
}

TEST_CASE("a program that ends again and again while its engine starts it fails its callers at once") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.ensure("alice");
  bench.ensure("alice", "shell");
  bench.runs("alice", 2);
  const auto runsAgain = [&](std::uint64_t rev) {
    std::string json = record("alice", "running", rev, 0, bothEndpoints("e" + std::to_string(rev)));
    json.insert(json.size() - 1, R"(,"lastError":"the container ended with exit code 3")");
    bench.tell(json);
  };
  for (std::uint64_t rev = 3; rev <= 5; ++rev) {
    runsAgain(rev);
    CHECK(bench.prober.active() == 2);
  }
  bench.tell(record("alice", "running", 6, 0, bothEndpoints("e5"))); // nothing new
  bench.tell(record("alice", "running", 7));                         // no address for a moment
  CHECK(bench.answers.count() == 0);
  runsAgain(8);
  CHECK(bench.answers.count(Status::Unavailable) == 2);
  CHECK(bench.answers.lastReason() == "INSTANCE_ENDS");
  CHECK(bench.answers.lastMessage() ==
        "the instance ended 4 times before it answered: the container ended with exit code 3");
  CHECK(bench.failed == 1);
  CHECK(bench.prober.active() == 0);
  CHECK(bench.platform.startCount() == 1);
}

TEST_CASE("an instance that fails while it is probed fails its callers with its error") {
  Bench bench;
  bench.platform.put("alice", "running", 1, bothEndpoints("e1"));
  bench.ensure("alice");
  bench.tell(R"({"id":"01Jalice","handle":"alice","status":"failed","rev":2,"lastError":"exit code 137"})");
  CHECK(bench.answers.count(Status::Unavailable) == 1);
  CHECK(bench.answers.lastMessage() == "the instance failed: exit code 137");
}

TEST_CASE("endpoints that come later or change are probed") {
  Bench bench;
  bench.platform.put("alice", "running", 1);
  bench.ensure("alice");
  CHECK(bench.prober.active() == 0);
  bench.tell(record("alice", "running", 2, 0, bothEndpoints("e1")));
  CHECK(bench.prober.begun() == 1);
  bench.tell(record("alice", "running", 3, 9, bothEndpoints("e1")));
  CHECK(bench.prober.begun() == 1); // the same addresses
  bench.tell(record("alice", "running", 4, 0, bothEndpoints("e2")));
  CHECK(bench.prober.begun() == 2);
  CHECK(bench.prober.active() == 1);
  const auto probe = bench.prober.takeFirst();
  CHECK(probe->targets.front().epoch == "e2");
}

TEST_CASE("what cannot be waited for is refused without an answer") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.platform.put("leaving", "deleting", 1);
  CHECK(statusOf([&] { bench.ensure("nobody"); }) == Status::NotFound);
  CHECK(statusOf([&] { bench.ensure("leaving"); }) == Status::NotFound);
  CHECK(statusOf([&] { bench.ensure("alice", "metrics"); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { bench.ensure("alice", "shell", bench.clock.monotonicNanos()); }) == Status::DeadlineExceeded);
  bench.wakes->configure({60s, 2});
  bench.ensure("alice");
  bench.ensure("alice");
  CHECK(statusOf([&] { bench.ensure("alice"); }) == Status::ResourceExhausted);
  bench.wakes->shutdown();
  CHECK(statusOf([&] { bench.ensure("alice"); }) == Status::Unavailable);
}

TEST_CASE("a shutdown answers everybody, and the engine's answer comes too late") {
  Bench bench;
  bench.platform.put("alice", "stopped", 1);
  bench.platform.put("bob", "running", 1, bothEndpoints("e1"));
  bench.ensure("alice");
  bench.ensure("bob");
  bench.wakes->shutdown();
  CHECK(bench.answers.count(Status::Unavailable) == 2);
  CHECK(bench.answers.lastReason() == "STOPPING");
  CHECK(bench.prober.active() == 0);
  bench.wakes.reset();
  bench.platform.put("alice", "running", 2, bothEndpoints("e2"));
  bench.platform.answerStart();
  CHECK(bench.answers.count() == 2);
}
