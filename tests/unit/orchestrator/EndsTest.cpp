/// Programs that end by themselves, and engines that start them again.
#include "Fixture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <string>

using namespace matrixos;
using namespace matrixos::test;

namespace {

constexpr const char *kName = "matrixos-alice";

/// alice runs, and the engine's events are listened to.
struct Running : Fixture {
  Running() {
    REQUIRE(provision("alice", "user_1").status == 201);
    REQUIRE(eventually([&] { return runtime.calls("list") >= 1 && service->pending() == 0; })); // the first pass
    REQUIRE(reconcile());
  }
  bool says(const std::string &part) { return get("alice").body.find(part) != std::string::npos; }
  double ends(const std::string &cause) {
    return host->metric("matrixos_orchestrator_ends_total{cause=\"" + cause + "\"}");
  }
  std::ptrdiff_t published(const std::string &topic) {
    const auto topics = host->topics();
    return std::count(topics.begin(), topics.end(), topic);
  }
  /// The program ends; the engine says so, and waits before it starts it again.
  void end(int exitCode) {
    runtime.crash(kName, exitCode, "restarting");
    runtime.sendEvent("died", kName, exitCode);
  }
  /// The engine has started it again, and says so.
  void comeBack() {
    runtime.start(Call(nullptr), kName);
    runtime.sendEvent("started", kName);
  }
};

} // namespace

TEST_CASE("a program that the engine starts again is found at its new address at once") {
  Running f;
  const std::string before = f.runtime.container(kName)->ref + "@1";
  REQUIRE(f.says(before));
  const int inspects = f.runtime.calls("inspect");
  f.end(3);
  REQUIRE(eventually([&] { return f.runtime.calls("inspect") > inspects && f.service->pending() == 0; }));
  CHECK(f.says(before)); // where it was is where it may be again
  CHECK(f.field("alice", "status") == "running");
  f.runtime.edit(kName, [](FakeRuntime::Container &container) { container.state = "running"; });
  f.runtime.edit(kName, [](FakeRuntime::Container &container) { ++container.startedAt; });
  f.runtime.sendEvent("started", kName);
  CHECK(eventually([&] { return f.says(f.runtime.container(kName)->ref + "@2"); }));
}

TEST_CASE("what is reported while an operation runs is looked at after it") {
  Running f;
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  std::atomic<bool> once{false};
  f.host->onBatch([&](const std::string &sql) {
    // After the engine's answer to the start, before the record says that it runs.
    if (sql.find("UPDATE containers SET") == std::string::npos) return;
    if (f.runtime.container(kName)->state != "running" || once.exchange(true)) return;
    f.runtime.crash(kName, 3, "running");
    f.runtime.sendEvent("died", kName, 3);
    f.runtime.sendEvent("started", kName);
    REQUIRE(eventually([&] { return f.runtime.eventsHeard(); }));
  });
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  CHECK(eventually([&] { return f.says(f.runtime.container(kName)->ref + "@3"); }));
}

TEST_CASE("an end is kept and told: exit code, count, log, metric and event") {
  Running f;
  f.end(3);
  CHECK(eventually([&] { return f.says(R"("lastEnd":{"exitCode":3,"oomKilled":false,"times":1,)"); }));
  CHECK(f.says("ended with exit code 3"));
  CHECK(f.field("alice", "status") == "running");
  CHECK(eventually([&] { return f.ends("exit") == 1 && f.published("instance.ended") == 1; }));
  // Looked at again, it is the same end.
  REQUIRE(f.reconcile());
  CHECK(f.ends("exit") == 1);
  // And it is still known after a restart of the daemon.
  f.restart();
  CHECK(f.says(R"("lastEnd":{"exitCode":3,"oomKilled":false,"times":1,)"));
  REQUIRE(f.reconcile());
  CHECK(f.says(R"("times":1,)"));
}

TEST_CASE("an end for want of memory is told as one") {
  Running f;
  f.runtime.edit(kName, [](FakeRuntime::Container &container) { container.oomKilled = true; });
  f.end(137);
  CHECK(eventually([&] { return f.says(R"("lastEnd":{"exitCode":137,"oomKilled":true,"times":1,)"); }));
  CHECK(f.says("out of memory"));
  CHECK(eventually([&] { return f.ends("oom") == 1; }));
}

TEST_CASE("a program that ends again and again fails, with the reason, and is not started any more") {
  Running f;
  f.runtime.hold("inspect"); // what happens fast is seen late
  for (int i = 0; i < 4; ++i)
    f.end(3);
  f.runtime.release("inspect");
  CHECK(eventually([&] { return f.field("alice", "status") == "failed"; }));
  CHECK(f.says("ended with exit code 3, 4 times"));
  CHECK(f.runtime.container(kName)->state == "exited");
  CHECK(eventually([&] { return f.published("instance.failed") == 1; }));
  const int starts = f.runtime.calls("start");
  REQUIRE(f.reconcile());
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "failed");
  CHECK(f.runtime.calls("start") == starts);
  // Whoever asks for it begins anew.
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  CHECK(f.field("alice", "status") == "running");
  f.end(3);
  CHECK(eventually([&] { return f.says(R"("times":1,)"); }));
}

TEST_CASE("ends that the engine never reported are seen in its count") {
  Running f;
  for (int i = 0; i < 2; ++i)
    f.runtime.crash(kName, 3, "running");
  REQUIRE(f.reconcile());
  CHECK(f.says(R"("lastEnd":{"exitCode":-1,"oomKilled":false,)"));
  CHECK(f.ends("exit") == 2);
  CHECK(f.says("@3\"")); // and where it listens now is known
}

TEST_CASE("a restart that an operator asks for is no end of its own") {
  Running f;
  f.runtime.edit(kName, [](FakeRuntime::Container &container) { container.state = "exited"; });
  f.comeBack();
  CHECK(eventually([&] { return f.says(f.runtime.container(kName)->ref + "@2"); }));
  CHECK(!f.says("lastEnd"));
}

TEST_CASE("a program that is not started again is stopped, with the count of its ends") {
  Running f;
  for (int times = 1; times <= 2; ++times) {
    f.runtime.changeState(kName, "exited", 3);
    f.runtime.sendEvent("died", kName, 3);
    CHECK(eventually([&] { return f.field("alice", "status") == "stopped"; }));
    CHECK(f.says("\"times\":" + std::to_string(times) + ","));
    CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  }
  // A stop that was asked for ends the row of ends.
  CHECK(f.host->request("POST", "/containers/alice/stop").status == 200);
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  f.runtime.changeState(kName, "exited", 3);
  f.runtime.sendEvent("died", kName, 3);
  CHECK(eventually([&] { return f.field("alice", "status") == "stopped"; }));
  CHECK(f.says("\"times\":1,"));
}
