#include "common/Executor.h"

#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

using namespace matrixos;
using namespace matrixos::common;
using namespace matrixos::test;
using namespace std::chrono_literals;

TEST_CASE("every task runs or is dropped, exactly once, under load and a stop in between") {
  std::atomic<int> ran{0};
  std::atomic<int> dropped{0};
  std::atomic<int> refused{0};
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  {
    Executor executor({.threads = 3, .queuedPerOwner = 100});
    std::vector<std::thread> submitters;
    for (int t = 0; t < kThreads; ++t) {
      submitters.emplace_back([&, owner = makeOwner()] {
        for (int i = 0; i < kEach; ++i) {
          try {
            executor.submit(
                owner, [&] { ++ran; }, [&] { ++dropped; });
          } catch (const Error &) {
            ++refused;
          }
        }
      });
    }
    CHECK(eventually([&] { return ran > 100; }));
    CHECK(executor.stop(30s));
    for (auto &thread : submitters)
      thread.join();
    CHECK(executor.counts().queued == 0);
    CHECK(executor.threads() == 0);
  }
  CHECK(ran + dropped + refused == kThreads * kEach);
}

TEST_CASE("an owner's queue is bounded and its tasks start in order") {
  Executor executor({.threads = 1, .queuedPerOwner = 3});
  const Owner owner = makeOwner();
  Gate gate;
  executor.submit(owner, [&] { gate.wait(); });
  REQUIRE(eventually([&] { return executor.counts(owner).running == 1; }));
  std::vector<int> order;
  for (int i = 0; i < 3; ++i)
    executor.submit(owner, [&order, i] { order.push_back(i); });
  bool called = false;
  const Error full = errorOf([&] {
    executor.submit(
        owner, [&] { called = true; }, [&] { called = true; });
  });
  CHECK(full.status() == Status::ResourceExhausted);
  CHECK(full.reason() == "QUEUE_FULL");
  gate.open();
  CHECK(executor.waitIdle(owner, kPatience));
  CHECK(order == std::vector<int>{0, 1, 2});
  CHECK_FALSE(called);
}

TEST_CASE("an owner whose tasks hang leaves threads to others") {
  Executor executor({.threads = 4});
  const Owner hanging = makeOwner();
  const Owner other = makeOwner();
  Gate gate;
  for (int i = 0; i < 20; ++i)
    executor.submit(hanging, [&] { gate.wait(); });
  std::atomic<int> ran{0};
  for (int i = 0; i < 20; ++i)
    executor.submit(other, [&] { ++ran; });
  CHECK(eventually([&] { return ran == 20; }));
  CHECK(executor.counts(hanging).running == 3);
  gate.open();
  CHECK(executor.waitIdle(hanging, kPatience));
}

TEST_CASE("drop takes what waits and leaves what runs; close refuses more") {
  Executor executor({.threads = 1});
  const Owner owner = makeOwner();
  const Owner other = makeOwner();
  Gate gate;
  std::atomic<int> dropped{0};
  std::atomic<int> ran{0};
  executor.submit(owner, [&] {
    gate.wait();
    ++ran;
  });
  REQUIRE(eventually([&] { return executor.counts(owner).running == 1; }));
  for (int i = 0; i < 5; ++i) {
    executor.submit(
        owner, [&] { ++ran; }, [&] { ++dropped; });
  }
  executor.submit(other, [&] { ++ran; });
  CHECK(executor.drop(owner) == 5);
  CHECK(dropped == 5);
  executor.submit(owner, [&] { ++ran; });
  CHECK(executor.close(owner) == 1);
  CHECK(statusOf([&] { executor.submit(owner, [] {}); }) == Status::Unavailable);
  CHECK_FALSE(executor.waitIdle(owner, 1ms));
  gate.open();
  CHECK(executor.waitIdle(owner, kPatience));
  CHECK(executor.waitIdle(other, kPatience));
  CHECK(ran == 2);
  CHECK(dropped == 5);
}

TEST_CASE("a drop may use the executor") {
  Executor executor({.threads = 1});
  const Owner owner = makeOwner();
  Gate gate;
  std::atomic<bool> again{false};
  executor.submit(owner, [&] { gate.wait(); });
  REQUIRE(eventually([&] { return executor.counts(owner).running == 1; }));
  executor.submit(
      owner, [] {}, [&] { executor.submit(kCoreOwner, [&] { again = true; }); });
  executor.drop(owner);
  gate.open();
  CHECK(eventually([&] { return again.load(); }));
}

TEST_CASE("an abandoned task gives its place to a new thread") {
  Executor executor({.threads = 1});
  const Owner owner = makeOwner();
  const auto gate = std::make_shared<Gate>();
  const auto ticket = executor.submit(owner, [gate] { gate->wait(); });
  REQUIRE(eventually([&] { return executor.counts(owner).running == 1; }));
  std::atomic<bool> ran{false};
  bool dropped = false;
  executor.submit(owner, [&] { ran = true; });
  const auto waiting = executor.submit(
      owner, [] {}, [&] { dropped = true; });
  CHECK(executor.abandon(waiting) == Executor::Abandoned::Dropped);
  CHECK(dropped);
  CHECK(executor.abandon(waiting) == Executor::Abandoned::Gone);
  CHECK(executor.abandon(ticket) == Executor::Abandoned::Left);
  CHECK(eventually([&] { return ran.load(); }));
  CHECK(executor.waitIdle(owner, kPatience));
  CHECK(executor.counts(owner).abandoned == 1);
  CHECK(executor.threads() <= 1);
  gate->open();
  CHECK(eventually([&] { return executor.counts(owner).abandoned == 0; }));
  CHECK(executor.abandon(ticket) == Executor::Abandoned::Gone);
}

TEST_CASE("a stop does not wait for ever, and the task may outlive the executor") {
  const auto gate = std::make_shared<Gate>();
  const auto ended = std::make_shared<std::atomic<bool>>(false);
  {
    Executor executor({.threads = 2});
    executor.submit(kCoreOwner, [gate, ended] {
      gate->wait();
      *ended = true;
    });
    REQUIRE(eventually([&] { return executor.counts().running == 1; }));
    CHECK_FALSE(executor.stop(5ms));
    CHECK(executor.counts().abandoned == 1);
    CHECK(statusOf([&] { executor.submit(kCoreOwner, [] {}); }) == Status::Unavailable);
  }
  gate->open();
  CHECK(eventually([&] { return ended->load(); }));
}

TEST_CASE("exceptions of tasks are told and end nothing") {
  std::mutex mutex;
  std::vector<std::string> told;
  ExecutorOptions options;
  options.threads = 1;
  options.onError = [&](Owner, std::string_view what) {
    const std::lock_guard lock(mutex);
    told.emplace_back(what);
  };
  Executor executor(options);
  executor.submit(kCoreOwner, [] { throw std::runtime_error("broken"); });
  executor.submit(kCoreOwner, [] { throw 5; });
  CHECK(executor.waitIdle(kCoreOwner, kPatience));
  const std::lock_guard lock(mutex);
  CHECK(told == std::vector<std::string>{"broken", "unknown exception"});
}

TEST_CASE("threads come when needed and go when idle") {
  Executor executor({.threads = 8, .idleTime = 5ms});
  CHECK(executor.threads() == 0);
  Gate gate;
  for (int i = 0; i < 6; ++i)
    executor.submit(makeOwner(), [&] { gate.wait(); });
  CHECK(eventually([&] { return executor.counts().running == 6; }));
  gate.open();
  CHECK(eventually([&] { return executor.threads() == 0; }));
  std::atomic<bool> ran{false};
  executor.submit(kCoreOwner, [&] { ran = true; });
  CHECK(eventually([&] { return ran.load(); }));
}
