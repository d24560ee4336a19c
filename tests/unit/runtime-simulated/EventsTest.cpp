/// Events: in order, to those who asked for them, until somebody ends it.
#include "Rig.h"
#include "support/Wait.h"

#include <atomic>
#include <mutex>
#include <thread>

using namespace matrixos;
using namespace matrixos::simulated;
using namespace matrixos::simulated::test;
using matrixos::test::eventually;

namespace {

/// Somebody who listens on a thread of their own.
class Listener {
public:
  Listener(Rig &rig, std::string labels, int stopAfter = 1'000'000)
      : scope_(std::chrono::minutes{5}), thread_([this, &rig, labels = std::move(labels), stopAfter] {
          end_ = ending([&] {
            rig.client.events(scope_.abi(), labels, [&](std::string_view item) {
              const auto event = json::parseObject(item);
              const std::lock_guard lock(mutex_);
              heard_ += json::getString(*event, "type") + " " + json::getString(*event, "name") + " " +
                        std::to_string(json::getInt(*event, "exitCode", -1)) + "\n";
              return ++count_ < stopAfter;
            });
          });
          ended_ = true;
        }) {}
  ~Listener() {
    scope_.cancel();
    if (thread_.joinable()) thread_.join();
  }

  void cancel() { scope_.cancel(); }
  std::string join() {
    thread_.join();
    return end_;
  }
  int count() const { return count_; }
  bool ended() const { return ended_; }
  std::string heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

private:
  mutable std::mutex mutex_;
  std::string heard_, end_;
  std::atomic<int> count_{0};
  std::atomic<bool> ended_{false};
  CallScope scope_;
  std::thread thread_;
};

} // namespace

TEST_CASE("events tell everything that happens, in order") {
  Rig rig;
  Listener all(rig, "{}");
  REQUIRE(eventually([&] { return rig.engine.listeners() == 1; }));
  const std::string ref = rig.started("matrixos-a");
  rig.client.pause(rig.call(), ref);
  rig.client.pause(rig.call(), ref); // already so: no event
  rig.client.unpause(rig.call(), ref);
  rig.client.stop(rig.call(), ref, std::chrono::seconds{1});
  rig.client.stop(rig.call(), ref, std::chrono::seconds{1});
  rig.client.start(rig.call(), ref);
  rig.engine.die(ref, 137, true);
  rig.client.remove(rig.call(), ref, 0);
  REQUIRE(eventually([&] { return all.count() == 10; }));
  all.cancel();
  CHECK(all.join() == "CANCELLED");
  CHECK(all.heard() == "created matrixos-a 0\nstarted matrixos-a 0\npaused matrixos-a 0\nunpaused matrixos-a 0\n"
                       "died matrixos-a 0\nstopped matrixos-a 0\nstarted matrixos-a 0\noom matrixos-a 0\n"
                       "died matrixos-a 137\nremoved matrixos-a 137\n");
}

TEST_CASE("events are only those of the wanted labels, also of labels that come later") {
  Rig rig;
  Listener some(rig, R"({"who":"matrixos-b"})");
  REQUIRE(eventually([&] { return rig.engine.listeners() == 1; }));
  rig.started("matrixos-a");
  rig.started("matrixos-b");
  rig.started("matrixos-c");
  REQUIRE(eventually([&] { return some.count() == 2; }));
  CHECK(some.heard() == "created matrixos-b 0\nstarted matrixos-b 0\n");
}

TEST_CASE("events end by the sink, the deadline, an interruption and the engine's end") {
  Rig rig(EngineOptions{}, EngineClock::Mode::Real);
  Listener stopped(rig, "{}", 1);
  Listener interrupted(rig, "{}");
  REQUIRE(eventually([&] { return rig.engine.listeners() == 2; }));
  rig.made("matrixos-a");
  CHECK(stopped.join() == "OK");
  REQUIRE(eventually([&] { return interrupted.count() == 1; }));
  CHECK(rig.engine.interruptEvents() == 1);
  CHECK(interrupted.join() == "UNAVAILABLE ENGINE_UNREACHABLE");
  CallScope brief(std::chrono::milliseconds{20});
  CHECK(ending([&] { rig.client.events(brief.abi(), "{}", [](std::string_view) { return true; }); }) ==
        "DEADLINE_EXCEEDED");
  Listener last(rig, "{}");
  REQUIRE(eventually([&] { return rig.engine.listeners() == 1; }));
  rig.clock.shutdown();
  CHECK(last.join() == "UNAVAILABLE STOPPING");
}

TEST_CASE("many who change, some who listen: each hears everything once and in order") {
  Rig rig;
  Listener a(rig, "{}"), b(rig, R"({"owner":"t"})");
  REQUIRE(eventually([&] { return rig.engine.listeners() == 2; }));
  rig.pull();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&rig, t] {
      for (int i = 0; i < 50; ++i) {
        CallScope scope(std::chrono::seconds{60});
        const std::string name = "t" + std::to_string(t) + "-" + std::to_string(i);
        rig.client.create(scope.abi(), R"({"name":")" + name + R"(","image":"demo:1","labels":{"owner":"t"}})");
        rig.client.start(scope.abi(), name);
        rig.client.stop(scope.abi(), name, std::chrono::seconds{1});
        rig.client.remove(scope.abi(), name, 0);
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  REQUIRE(eventually([&] { return a.count() == 1000 && b.count() == 1000; }));
  CHECK(a.heard() == b.heard());
  CHECK(rig.list().empty());
}
