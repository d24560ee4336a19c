#include "http/Dispatcher.h"

#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;
using Outcome = Dispatcher::Outcome;

namespace {

constexpr OwnerId kDaemon = 0;
constexpr OwnerId kPlugin = 7;

/// Handlers that stay inside until they are let go.
class Inside {
public:
  std::function<void()> handler() {
    return [this] {
      ++inside_;
      eventually([this] { return open_.load(); });
      --inside_;
      ++left_;
    };
  }
  bool has(int count) {
    return eventually([this, count] { return inside_ == count; });
  }
  int inside() const { return inside_; }
  int left() const { return left_; }
  void letGo() { open_ = true; }

private:
  std::atomic<bool> open_{false};
  std::atomic<int> inside_{0};
  std::atomic<int> left_{0};
};

struct Fixture {
  explicit Fixture(Dispatcher::Options options) : dispatcher(std::make_shared<Dispatcher>(options)) {}
  ~Fixture() {
    inside.letGo();
    CHECK(dispatcher->stop(Clock::now() + kPatience));
  }
  Outcome submit(Dispatcher::Ticket ticket, OwnerId owner = kPlugin) {
    return dispatcher->submit(ticket, owner, inside.handler());
  }

  Inside inside;
  std::shared_ptr<Dispatcher> dispatcher;
};

} // namespace

TEST_CASE("requests beyond the workers wait, beyond the backlog they are refused, and nothing is lost") {
  Fixture f({.workers = 2, .backlog = 1});
  CHECK(f.submit(1) == Outcome::Accepted);
  CHECK(f.submit(2) == Outcome::Accepted);
  CHECK(f.submit(3) == Outcome::Accepted);
  CHECK(f.submit(4) == Outcome::Full);
  CHECK(f.inside.has(2));
  CHECK(f.dispatcher->open() == 3);
  f.inside.letGo();
  CHECK(eventually([&] { return f.inside.left() == 3; }));
  for (int i = 0; i < 3; ++i)
    f.dispatcher->leave();
  CHECK(f.dispatcher->waitEmpty(Clock::now()));
  CHECK(f.submit(5) == Outcome::Accepted);
  f.dispatcher->leave();
}

TEST_CASE("an owner gets its share; others, and the daemon's own requests, are served beside it") {
  Fixture f({.workers = 4, .reserve = 2, .perOwner = 2, .backlog = 20});
  CHECK(f.submit(1) == Outcome::Accepted);
  CHECK(f.submit(2) == Outcome::Accepted);
  CHECK(f.submit(3) == Outcome::Waits);
  CHECK(f.inside.has(2));
  std::atomic<int> served{0};
  const auto serve = [&] { ++served; };
  CHECK(f.dispatcher->submit(4, kPlugin + 1, serve) == Outcome::Accepted);
  CHECK(f.dispatcher->submit(5, kDaemon, serve) == Outcome::Accepted);
  CHECK(eventually([&] { return served == 2; }));
  f.dispatcher->release(4);
  f.dispatcher->release(5);
  // Two others together may not hold more than the workers; the daemon still has its reserve.
  CHECK(f.submit(6, kPlugin + 1) == Outcome::Accepted);
  CHECK(f.submit(7, kPlugin + 1) == Outcome::Accepted);
  CHECK(f.submit(8, kPlugin + 2) == Outcome::Waits);
  CHECK(f.inside.has(4));
  CHECK(f.dispatcher->submit(9, kDaemon, serve) == Outcome::Accepted);
  CHECK(eventually([&] { return served == 3; }));
  CHECK_FALSE(f.dispatcher->waitIdle(kPlugin, Clock::now() + 20ms));
  f.inside.letGo();
  for (const Dispatcher::Ticket ticket : {1, 2, 6, 7})
    f.dispatcher->release(ticket);
  CHECK(eventually([&] { return f.inside.left() == 6; })); // those that waited had their turn
  f.dispatcher->release(3);
  CHECK(f.dispatcher->waitIdle(kPlugin, Clock::now() + kPatience));
}

TEST_CASE("who has waited in vain spares others the wait, until a place is free") {
  Fixture f({.workers = 4, .perOwner = 1, .backlog = 20});
  CHECK(f.submit(1) == Outcome::Accepted);
  CHECK(f.submit(2) == Outcome::Waits);
  CHECK(f.dispatcher->giveUp(2));
  CHECK_FALSE(f.dispatcher->giveUp(2));
  CHECK(f.submit(3) == Outcome::Stuck);
  CHECK_FALSE(f.dispatcher->giveUp(1)); // has a place
  f.dispatcher->release(1);
  CHECK(f.submit(4) == Outcome::Accepted);
  // One whose client left says nothing about the owner.
  CHECK(f.submit(5) == Outcome::Waits);
  f.dispatcher->withdraw(5);
  CHECK(f.submit(6) == Outcome::Waits);
  f.inside.letGo();
  f.dispatcher->release(4);
  CHECK(eventually([&] { return f.inside.left() == 3; })); // 1, 4, 6; never 2, 3 or 5
}

TEST_CASE("bursts and single requests, from many threads: each runs once") {
  std::atomic<int> ran{0};
  const auto dispatcher =
      std::make_shared<Dispatcher>(Dispatcher::Options{.workers = 3, .reserve = 1, .perOwner = 2, .backlog = 100'000});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 2000; ++i) {
        const Dispatcher::Ticket ticket = t * 10'000 + i;
        dispatcher->submit(ticket, t, [&, ticket] {
          ++ran;
          dispatcher->release(ticket);
          dispatcher->leave();
        });
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(dispatcher->waitEmpty(Clock::now() + kPatience));
  CHECK(ran == 8000);
  CHECK(dispatcher->stop(Clock::now() + kPatience));
}

TEST_CASE("stopping does not wait for ever, and runs what was accepted before") {
  Inside hangs;
  const auto dispatcher = std::make_shared<Dispatcher>(Dispatcher::Options{.workers = 1, .backlog = 4});
  std::atomic<bool> ran{false};
  CHECK(dispatcher->submit(1, kPlugin, hangs.handler()) == Outcome::Accepted);
  CHECK(dispatcher->submit(2, kPlugin, [&] { ran = true; }) == Outcome::Accepted);
  CHECK(hangs.has(1));
  CHECK_FALSE(dispatcher->stop(Clock::now() + 20ms));
  CHECK(dispatcher->submit(3, kPlugin, [] {}) == Outcome::Full);
  hangs.letGo();
  CHECK(eventually([&] { return ran.load(); }));
  CHECK(dispatcher->stop(Clock::now() + kPatience));
}

TEST_CASE("a dispatcher without workers is refused") {
  CHECK_THROWS_AS(Dispatcher({.workers = 0}), Error);
}
