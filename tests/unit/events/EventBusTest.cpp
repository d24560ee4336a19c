#include "events/EventBus.h"

#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

using namespace matrixos;
using namespace matrixos::events;
using namespace matrixos::test;
using common::makeOwner;
using namespace std::chrono_literals;

namespace {

/// Keeps what it was told.
class Recorder {
public:
  EventBus::Subscriber function() {
    return [this](std::string_view topic, std::string_view json) {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::string(topic) + " " + std::string(json));
    };
  }
  std::vector<std::string> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::size_t count() const { return events().size(); }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};

} // namespace

TEST_CASE("events reach those whose prefix fits, in order") {
  Recorder all;
  Recorder instances;
  Recorder exact;
  EventBus bus;
  const auto owner = makeOwner();
  bus.subscribe(owner, "", all.function());
  bus.subscribe(owner, "instance.", instances.function());
  bus.subscribe(owner, "instance.changed", exact.function());
  bus.publish("instance.changed", "{\"n\":1}");
  bus.publish("instance.gone", "{\"n\":2}");
  bus.publish("instances", "{}");
  CHECK(eventually([&] { return all.count() == 3; }));
  CHECK(eventually([&] { return instances.count() == 2 && exact.count() == 1; }));
  CHECK(all.events() ==
        std::vector<std::string>{"instance.changed {\"n\":1}", "instance.gone {\"n\":2}", "instances {}"});
  CHECK(exact.events() == std::vector<std::string>{"instance.changed {\"n\":1}"});
}

TEST_CASE("each publisher's order is kept under load, one call at a time") {
  constexpr int kPublishers = 4;
  constexpr int kEach = 5000;
  std::atomic<int> received{0};
  std::atomic<int> inside{0};
  std::atomic<int> wrong{0};
  int last[kPublishers] = {-1, -1, -1, -1};
  EventBus bus({.queuedEvents = kPublishers * kEach});
  bus.subscribe(makeOwner(), "t", [&](std::string_view topic, std::string_view json) {
    if (++inside != 1) ++wrong;
    const auto publisher = static_cast<std::size_t>(topic.back() - '0');
    const int number = std::stoi(std::string(json));
    if (number != last[publisher] + 1) ++wrong;
    last[publisher] = number;
    --inside;
    ++received;
  });
  std::vector<std::thread> publishers;
  for (int p = 0; p < kPublishers; ++p) {
    publishers.emplace_back([&, p] {
      for (int i = 0; i < kEach; ++i)
        bus.publish("t" + std::to_string(p), std::to_string(i));
    });
  }
  for (auto &thread : publishers)
    thread.join();
  CHECK(eventually([&] { return received == kPublishers * kEach; }));
  CHECK(wrong == 0);
}

TEST_CASE("a slow subscriber gets one mark in place of what it missed, then goes on") {
  Recorder recorder;
  Gate gate;
  std::atomic<bool> inside{false};
  EventBus bus({.queuedEvents = 3});
  auto record = recorder.function();
  bus.subscribe(makeOwner(), "", [&](std::string_view topic, std::string_view json) {
    record(topic, json);
    inside = true;
    gate.wait();
  });
  bus.publish("e", "0");
  REQUIRE(eventually([&] { return inside.load(); }));
  for (int i = 1; i <= 10; ++i)
    bus.publish("e", std::to_string(i));
  gate.open();
  CHECK(eventually([&] { return recorder.count() == 5; }));
  CHECK(recorder.events() == std::vector<std::string>{"e 0", "e 1", "e 2", "e 3", "events.lost {\"missed\":7}"});
  bus.publish("e", "11");
  CHECK(eventually([&] { return recorder.count() == 6; }));
  CHECK(recorder.events().back() == "e 11");
}

TEST_CASE("bytes are bounded as well as events") {
  Recorder recorder;
  Gate gate;
  std::atomic<bool> inside{false};
  EventBus bus({.queuedBytes = 1000});
  auto record = recorder.function();
  bus.subscribe(makeOwner(), "", [&](std::string_view topic, std::string_view json) {
    inside = true;
    gate.wait();
    record(topic, json.substr(0, 1));
  });
  bus.publish("e", "a");
  REQUIRE(eventually([&] { return inside.load(); }));
  bus.publish("e", std::string(800, 'b'));
  bus.publish("e", std::string(800, 'c'));
  gate.open();
  CHECK(eventually([&] { return recorder.count() == 3; }));
  CHECK(recorder.events() == std::vector<std::string>{"e a", "e b", "events.lost {"});
  CHECK(statusOf([&] { bus.publish("e", std::string(EventBus::kLongestJson + 1, 'x')); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { bus.publish("", ""); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { bus.publish(std::string(129, 't'), ""); }) == Status::InvalidArgument);
}

TEST_CASE("stuck subscribers, however many one owner has, hold up nobody else") {
  EventBus bus({.threads = 8});
  const auto stuck = makeOwner();
  Gate gate;
  for (int i = 0; i < 50; ++i)
    bus.subscribe(stuck, "", [&](std::string_view, std::string_view) { gate.wait(); });
  Recorder recorder;
  bus.subscribe(makeOwner(), "", recorder.function());
  for (int i = 0; i < 100; ++i)
    bus.publish("e", std::to_string(i));
  CHECK(eventually([&] { return recorder.count() == 100; }));
  gate.open();
}

TEST_CASE("after unsubscribe the subscriber neither runs nor will run") {
  EventBus bus;
  const auto owner = makeOwner();
  std::atomic<bool> stop{false};
  std::thread publisher([&] {
    while (!stop)
      bus.publish("e", "{}");
  });
  std::atomic<int> wrong{0};
  for (int round = 0; round < 300; ++round) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    std::atomic<int> calls{0};
    std::atomic<bool> *flag = alive.get();
    const auto handle = bus.subscribe(owner, "e", [flag, &wrong, &calls](std::string_view, std::string_view) {
      if (!flag->load()) ++wrong;
      ++calls;
    });
    if (round % 2 == 0) CHECK(eventually([&] { return calls > 0; }));
    bus.unsubscribe(owner, handle);
    alive->store(false);
    alive.reset();
    CHECK(statusOf([&] { bus.unsubscribe(owner, handle); }) == Status::NotFound);
  }
  stop = true;
  publisher.join();
  CHECK(wrong == 0);
  CHECK(bus.subscribers() == 0);
}

TEST_CASE("a subscriber may unsubscribe itself, publish and subscribe") {
  EventBus bus;
  const auto owner = makeOwner();
  std::atomic<EventBus::Handle> handle{0};
  std::atomic<int> calls{0};
  Recorder later;
  handle = bus.subscribe(owner, "first", [&](std::string_view, std::string_view) {
    while (handle == 0)
      std::this_thread::yield();
    ++calls;
    bus.unsubscribe(owner, handle);
    bus.subscribe(owner, "second", later.function());
    bus.publish("second", "{}");
    bus.publish("first", "{}");
  });
  bus.publish("first", "{}");
  bus.publish("first", "{}");
  CHECK(eventually([&] { return later.count() == 1; }));
  CHECK(calls == 1);
}

TEST_CASE("a sweep ends one owner's subscriptions, with a time limit") {
  EventBus bus;
  const auto mine = makeOwner();
  const auto other = makeOwner();
  Gate gate;
  std::atomic<bool> inside{false};
  Recorder kept;
  const auto handle = bus.subscribe(mine, "", [&](std::string_view, std::string_view) {
    inside = true;
    gate.wait();
  });
  bus.subscribe(other, "", kept.function());
  CHECK(statusOf([&] { bus.unsubscribe(other, handle); }) == Status::NotFound);
  bus.publish("e", "1");
  REQUIRE(eventually([&] { return inside.load(); }));
  CHECK_FALSE(bus.sweep(mine, 1ms));
  CHECK(bus.subscribers() == 1);
  bus.publish("e", "2");
  CHECK(eventually([&] { return kept.count() == 2; }));
  gate.open();
  CHECK(bus.sweep(mine, kPatience));
}

TEST_CASE("exceptions of subscribers are told and end nothing; a stopped bus refuses") {
  std::atomic<int> told{0};
  std::atomic<int> calls{0};
  EventBus bus({.onError = [&](common::Owner, std::string_view what) { told += what == "broken" ? 1 : 0; }});
  bus.subscribe(makeOwner(), "", [&](std::string_view, std::string_view) {
    ++calls;
    throw std::runtime_error("broken");
  });
  bus.publish("e", "1");
  bus.publish("e", "2");
  CHECK(eventually([&] { return calls == 2 && told == 2; }));
  CHECK(bus.stop(kPatience));
  CHECK(statusOf([&] { bus.publish("e", "3"); }) == Status::Unavailable);
  CHECK(statusOf([&] { bus.subscribe(1, "", [](std::string_view, std::string_view) {}); }) == Status::Unavailable);
  CHECK(calls == 2);
}

TEST_CASE("threads follow the work, not the number of subscribers") {
  EventBus bus;
  std::atomic<int> calls{0};
  std::mutex mutex;
  std::vector<std::thread::id> threads;
  for (int i = 0; i < 200; ++i) {
    bus.subscribe(makeOwner(), "", [&](std::string_view, std::string_view) {
      const std::lock_guard lock(mutex);
      if (std::find(threads.begin(), threads.end(), std::this_thread::get_id()) == threads.end()) {
        threads.push_back(std::this_thread::get_id());
      }
      ++calls;
    });
  }
  bus.publish("e", "{}");
  CHECK(eventually([&] { return calls == 200; }));
  const std::lock_guard lock(mutex);
  CHECK(threads.size() <= 64);
}
