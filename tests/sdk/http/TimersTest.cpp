#include <doctest/doctest.h>
#include <http/engine/Buffer.h>
#include <http/engine/Timers.h>

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace matrixos::http;

namespace {

struct Alarm final : Timer {
  void onTimer() override {
    ++fired;
    if (then) then();
  }
  int fired = 0;
  std::function<void()> then;
};

} // namespace

TEST_CASE("timers fire once, not early, and at most one tick late") {
  TimerWheel wheel;
  std::mt19937 random(3);
  std::vector<std::unique_ptr<Alarm>> alarms;
  std::int64_t now = 5'000'000;
  wheel.advance(now);
  for (int i = 0; i < 2000; ++i) {
    alarms.push_back(std::make_unique<Alarm>());
    wheel.set(*alarms.back(), now + static_cast<std::int64_t>(random() % 100'000)); // several turns of the wheel
  }
  for (int i = 0; i < 2000; i += 7)
    wheel.cancel(*alarms[static_cast<std::size_t>(i)]);
  const std::int64_t end = now + 101'000;
  while (now < end) {
    const std::int64_t before = now;
    now += 1 + static_cast<std::int64_t>(random() % 60);
    wheel.advance(now);
    for (std::size_t i = 0; i < alarms.size(); ++i) {
      if (i % 7 == 0)
        REQUIRE(alarms[i]->fired == 0);
      else if (alarms[i]->deadlineMs() > now)
        REQUIRE(alarms[i]->fired == 0);
      else if (alarms[i]->deadlineMs() + TimerWheel::kTickMs < before)
        REQUIRE(alarms[i]->fired == 1);
    }
  }
  CHECK(wheel.empty());
}

TEST_CASE("who sleeps until the wheel wants to be looked at misses nothing and wakes for little else") {
  TimerWheel wheel;
  std::mt19937 random(4);
  std::int64_t now = 7'000'123;
  wheel.advance(now);
  CHECK(wheel.nextMs() == INT64_MAX);
  std::vector<std::unique_ptr<Alarm>> alarms;
  const auto add = [&] {
    alarms.push_back(std::make_unique<Alarm>());
    wheel.set(*alarms.back(), now + static_cast<std::int64_t>(random() % 95'000));
  };
  for (int i = 0; i < 200; ++i)
    add();
  for (std::size_t i = 0; i < 200; i += 5)
    wheel.cancel(*alarms[i]);
  int looks = 0;
  for (; !wheel.empty(); ++looks) {
    const std::int64_t before = now;
    REQUIRE(wheel.nextMs() > now);
    now = wheel.nextMs();
    wheel.advance(now);
    for (std::size_t i = 0; i < alarms.size(); ++i) {
      const bool cancelled = i < 200 && i % 5 == 0;
      if (!cancelled && alarms[i]->deadlineMs() + TimerWheel::kTickMs <= now) REQUIRE(alarms[i]->fired == 1);
      if (cancelled || alarms[i]->deadlineMs() > now) REQUIRE(alarms[i]->fired == 0);
    }
    if (alarms.size() < 300 && before % 3 == 0) add(); // also while others wait
  }
  // Each timer costs one look, and one per turn of the wheel; a look per tick would be thousands.
  CHECK(looks < 1'500);
}

TEST_CASE("a timer may set, cancel and destroy others, and itself again") {
  TimerWheel wheel;
  wheel.advance(1000);
  Alarm again;
  auto victim = std::make_unique<Alarm>();
  Alarm cancelled;
  Alarm first;
  first.then = [&] {
    victim.reset();
    wheel.cancel(cancelled);
    wheel.set(first, 1500);
  };
  again.then = [&] { wheel.set(again, 1200); };
  wheel.set(first, 1100);
  wheel.set(*victim, 1100);
  wheel.set(cancelled, 1100);
  wheel.set(again, 1100);
  wheel.advance(1300);
  CHECK(first.fired == 1);
  CHECK(cancelled.fired == 0);
  CHECK(again.fired >= 1);
  first.then = again.then = nullptr;
  wheel.advance(60'000); // a long pause fires what is due, once
  CHECK(first.fired == 2);
  wheel.cancel(first);
  wheel.cancel(again);
  CHECK(wheel.empty());
}

TEST_CASE("a kept head stays in place while a body passes behind it") {
  BlockPool pool(64);
  Buffer buffer(pool);
  const auto put = [&](const std::string &text) {
    buffer.prepare();
    REQUIRE(buffer.space() >= text.size());
    std::memcpy(buffer.writePointer(), text.data(), text.size());
    buffer.filled(text.size());
  };
  put("0123456789HEADbody");
  buffer.consume(10);
  buffer.compact();
  CHECK(buffer.view() == "HEADbody");
  const std::string_view head = buffer.view().substr(0, 4);
  buffer.keep(4);
  CHECK(buffer.view() == "body");
  buffer.consume(4);
  for (int i = 0; i < 50; ++i) {
    put(std::string(60, static_cast<char>('a' + i % 26)));
    CHECK(buffer.size() == 60);
    buffer.consume(60);
    CHECK(head == "HEAD");
  }
  buffer.prepare();
  CHECK(buffer.space() == 60);
  buffer.unkeep();
  buffer.releaseIfEmpty();
  buffer.prepare();
  CHECK(buffer.space() == 64);
}
