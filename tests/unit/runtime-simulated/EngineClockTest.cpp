/// Time: real, virtual, and paused.
#include "Latency.h"
#include "Rig.h"
#include "support/Wait.h"

#include <mutex>
#include <thread>

using namespace matrixos;
using namespace matrixos::simulated;
using namespace matrixos::simulated::test;
using matrixos::test::eventually;
using namespace std::chrono_literals;

TEST_CASE("latencies: fixed and ranges, and nothing else") {
  CHECK(Latency::parse("8ms").at(0) == 8ms);
  CHECK(Latency::parse("8ms").at(0.999) == 8ms);
  CHECK(Latency::parse("0").at(0.5) == 0ms);
  CHECK(Latency::parse("1.5s").at(0) == 1500ms);
  const Latency range = Latency::parse("5ms..20ms");
  CHECK(range.at(0) == 5ms);
  CHECK(range.at(0.5) == 13ms);
  CHECK(range.at(0.9999) == 20ms);
  for (const char *text :
       {"", "8", "ms", "8 ms", "-8ms", "8ms..", "..8ms", "20ms..5ms", "8ms..20", "9999h", "1.2.3s"}) {
    CAPTURE(text);
    CHECK(ending([&] { Latency::parse(text); }) == "INVALID_ARGUMENT BAD_DURATION");
  }
}

TEST_CASE("virtual time: a wait moves it and takes none") {
  Rig rig;
  Pace pace;
  pace.latency[indexOf(CallKind::Start)] = Latency::parse("1h");
  rig.runtime.setPace(pace);
  const std::string ref = rig.made("matrixos-a");
  CallScope patient(std::chrono::hours{2});
  rig.client.start(patient.abi(), ref);
  CHECK(rig.clock.nowMs() == EngineClock::kVirtualStartMs + 3'600'000);
  CHECK(json::getInt(*rig.inspect(ref), "startedAt", 0) == rig.clock.nowMs());
  rig.client.stop(rig.call(), ref, 1s);
  // Longer than the caller has: the deadline passes, and nothing has happened.
  CHECK(ending([&] { rig.client.start(rig.call(), ref); }) == "DEADLINE_EXCEEDED");
  CHECK(rig.state(ref) == "exited");
  CHECK(rig.clock.nowMs() == EngineClock::kVirtualStartMs + 3'600'000 + 30'000);
}

TEST_CASE("real time: a wait ends by cancellation, deadline and shutdown") {
  EngineClock clock(EngineClock::Mode::Real);
  CallScope brief(20ms);
  CHECK(ending([&] { clock.sleep(Call(brief.abi()), 1h); }) == "DEADLINE_EXCEEDED");
  CallScope cancelled(1h);
  std::thread canceller([&] { cancelled.cancel(); });
  CHECK(ending([&] { clock.sleep(Call(cancelled.abi()), 1h); }) == "CANCELLED");
  canceller.join();
  CHECK(ending([&] { clock.sleep(Call(nullptr), 1ms); }) == "OK");
  CHECK(ending([&] { clock.advance(1s); }) == "FAILED_PRECONDITION REAL_CLOCK");
  CHECK(ending([&] { clock.setPaused(true); }) == "FAILED_PRECONDITION REAL_CLOCK");
  std::thread stopper([&] { clock.shutdown(); });
  CHECK(ending([&] { clock.sleep(Call(nullptr), 1h); }) == "UNAVAILABLE STOPPING");
  stopper.join();
}

TEST_CASE("paused: nobody moves before it is advanced, then one at a time in the order of their time") {
  Rig rig;
  Pace pace;
  pace.latency[indexOf(CallKind::Create)] = Latency::parse("10ms");
  pace.latency[indexOf(CallKind::Start)] = Latency::parse("30ms");
  pace.latency[indexOf(CallKind::Remove)] = Latency::parse("20ms");
  rig.made("matrixos-old");
  rig.made("matrixos-idle");
  rig.runtime.setPace(pace);
  rig.clock.setPaused(true);

  std::mutex mutex;
  std::vector<std::string> order;
  std::vector<std::thread> threads;
  const auto later = [&](const std::string &what, auto act) {
    const std::size_t before = rig.clock.sleepers();
    threads.emplace_back([&, what, act] {
      CallScope scope(5min);
      act(scope.abi());
      const std::lock_guard lock(mutex);
      order.push_back(what);
    });
    REQUIRE(eventually([&] { return rig.clock.sleepers() == before + 1; }));
  };
  later("start", [&](const mos_call *call) { rig.client.start(call, "matrixos-idle"); });
  later("create", [&](const mos_call *call) { rig.client.create(call, R"({"name":"new","image":"demo:1"})"); });
  later("remove", [&](const mos_call *call) { rig.client.remove(call, "matrixos-old", 0); });
  const auto names = [&] {
    std::string text;
    rig.engine.list({}, [&](std::string_view item) {
      text += json::getString(*json::parseObject(item), "name") + " ";
      return true;
    });
    return text;
  };
  CHECK(names() == "matrixos-old matrixos-idle ");
  rig.clock.advance(9ms);
  CHECK(names() == "matrixos-old matrixos-idle ");
  rig.clock.advance(1ms);
  CHECK(names() == "matrixos-old matrixos-idle new ");
  rig.clock.advance(20ms);
  for (std::thread &thread : threads)
    thread.join();
  CHECK(names() == "matrixos-idle new ");
  CHECK(rig.clock.nowMs() == EngineClock::kVirtualStartMs + 30);
  CHECK(order.size() == 3);

  later("pause", [&](const mos_call *call) { rig.client.start(call, "new"); });
  rig.clock.setPaused(false); // lets all go
  threads.back().join();
  CHECK(order.back() == "pause");
}

TEST_CASE("paused: a caller may still give up") {
  Rig rig;
  Pace pace;
  pace.latency[indexOf(CallKind::Start)] = Latency::parse("1s");
  rig.runtime.setPace(pace);
  rig.made("matrixos-a");
  rig.clock.setPaused(true);
  CallScope scope(5min);
  std::string end;
  std::thread caller([&] { end = ending([&] { rig.client.start(scope.abi(), "matrixos-a"); }); });
  REQUIRE(eventually([&] { return rig.clock.sleepers() == 1; }));
  scope.cancel();
  caller.join();
  CHECK(end == "CANCELLED");
  CHECK(rig.clock.sleepers() == 0);
  rig.clock.advance(10s);
  CHECK(rig.state("matrixos-a") == "created");
}
