#include "Fixture.h"
#include "HealthProbe.h"
#include "NetworkLocks.h"

#include <atomic>
#include <condition_variable>
#include <thread>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;

TEST_CASE("a network in use is not removed; one being removed is waited for") {
  NetworkLocks locks;
  {
    const auto first = locks.use(Call(nullptr), {"a", "b"});
    auto second = locks.use(Call(nullptr), {"a"});
    CHECK_FALSE(static_cast<bool>(locks.removeTurn(Call(nullptr), "a")));
    CHECK(static_cast<bool>(locks.removeTurn(Call(nullptr), "c")));
    second.end();
    CHECK_FALSE(static_cast<bool>(locks.removeTurn(Call(nullptr), "a")));
  }
  std::thread user;
  std::atomic<bool> used{false};
  {
    const auto removal = locks.removeTurn(Call(nullptr), "a");
    REQUIRE(static_cast<bool>(removal));
    const CallScope soon(std::chrono::milliseconds{5});
    CHECK(failure([&] { locks.removeTurn(Call(soon.abi()), "a"); }).status() == Status::DeadlineExceeded);
    user = std::thread([&] {
      const auto use = locks.use(Call(nullptr), {"a"});
      used = true;
    });
    const CallScope late(std::chrono::milliseconds{5});
    CHECK(failure([&] { locks.use(Call(late.abi()), {"a"}); }).status() == Status::DeadlineExceeded);
    CHECK_FALSE(used);
  }
  user.join();
  CHECK(used);
  CHECK(static_cast<bool>(locks.removeTurn(Call(nullptr), "a")));
}

TEST_CASE("of removals that come together each gets its turn") {
  NetworkLocks locks;
  std::atomic<int> turns{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 300; ++round)
        turns += locks.removeTurn(Call(nullptr), "a") ? 1 : 0;
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(turns == 4 * 300);
}

TEST_CASE("locks under load: never a user and a removal at once") {
  NetworkLocks locks;
  std::atomic<int> users{0};
  std::atomic<int> removing{0};
  std::atomic<bool> clash{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 300; ++round) {
        if (i % 2 == 0) {
          const auto use = locks.use(Call(nullptr), {"a"});
          ++users;
          if (removing != 0) clash = true;
          --users;
        } else if (const auto removal = locks.removeTurn(Call(nullptr), "a")) {
          ++removing;
          if (users != 0) clash = true;
          --removing;
        }
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK_FALSE(clash);
}

TEST_CASE("the probe tells each change once, and recovers") {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> told;
  std::atomic<bool> well{false};
  const auto waitFor = [&](std::size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds{20}, [&] { return told.size() >= count; });
  };
  {
    std::atomic<int> asked{0};
    HealthProbe probe(
        [&] {
          ++asked;
          return well ? std::string() : std::string("no engine");
        },
        [&](const std::string &problem) {
          const std::lock_guard lock(mutex);
          told.push_back(problem);
          changed.notify_all();
        },
        std::chrono::milliseconds{1}, std::chrono::milliseconds{1});
    CHECK(waitFor(1));
    while (asked < 5)
      std::this_thread::yield();
    well = true;
    CHECK(waitFor(2));
    well = false;
    CHECK(waitFor(3));
  }
  CHECK(told == std::vector<std::string>{"no engine", "", "no engine"});
}

TEST_CASE("the whole table under load, with an engine that fails now and then") {
  using matrixos::test::answer;
  Fixture f;
  std::atomic<unsigned> turn{0};
  f.engine.on("GET", "/containers/matrixos-alice/json", [&](const FakeRequest &) {
    switch (++turn % 5) {
    case 0:
      return matrixos::test::hangUp();
    case 1:
      return matrixos::test::truncated(200, "{");
    default:
      return answer(200, inspectBody("running"));
    }
  });
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const CallScope scope(std::chrono::seconds{30});
        const mos_status status = guarded(nullptr, [&] { f.runtime.inspect(Call(scope.abi()), "matrixos-alice"); });
        if (status == MOS_OK)
          ++good;
        else
          ++bad;
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(good + bad == 120);
  CHECK(good >= 60);
  CHECK(bad >= 20);
}
