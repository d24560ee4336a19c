#include "Fixture.h"

#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;

namespace {

/// Stops the daemon while `call` of a provision is under way: the record stays at that step.
void stopDuring(Fixture &f, const std::string &call) {
  f.runtime.hold(call);
  f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})");
  REQUIRE(eventually([&] { return f.runtime.held(call) == 1; }));
  f.stop();
  f.runtime.release(call);
}

/// One container, one row, the same id, running, two ports.
void checkWhole(Fixture &f) {
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.runtime.count() == 1);
  const auto container = f.runtime.container("matrixos-alice");
  REQUIRE(container.has_value());
  CHECK(container->state == "running");
  CHECK(container->ref == f.field("alice", "containerId"));
  CHECK(container->labels.at(MOS_LABEL_INSTANCE) == f.field("alice", "id"));
  CHECK(f.rows("containers") == 1);
  CHECK(f.rows("port_assignments") == 2);
}

} // namespace

TEST_CASE("a provision that the daemon's stop cut short is completed at the next start") {
  for (const char *call : {"volume_ensure", "pull", "create", "start"}) {
    CAPTURE(call);
    Fixture f;
    REQUIRE(f.reconcile());
    stopDuring(f, call);
    f.start();
    CHECK(f.field("alice", "status") == "provisioning");
    REQUIRE(f.reconcile());
    checkWhole(f);
    // Whoever asked and got no answer asks again and gets what was made.
    CHECK(f.provision("alice", "user_1").status == 200);
  }
}

TEST_CASE("the same with the answer lost after the effect") {
  for (const char *call : {"create", "start"}) {
    CAPTURE(call);
    Fixture f;
    REQUIRE(f.reconcile());
    // The reply never comes and the record is not written any more: as after a kill.
    bool dead = false;
    f.host->onBatch([&](const std::string &) {
      if (dead) throw Error(Status::Unavailable, "the daemon is dead");
    });
    f.runtime.failAlways("remove", engineFault()); // the dead undo nothing
    f.runtime.hold(call);
    const auto pending = f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})");
    REQUIRE(eventually([&] { return f.runtime.held(call) == 1; }));
    dead = true;
    f.runtime.release(call);
    CHECK(f.host->answerTo(pending).status == 503);
    f.runtime.failAlways("remove", std::nullopt);
    f.restart();
    REQUIRE(f.reconcile());
    checkWhole(f);
  }
}

TEST_CASE("a half-done provision whose completion fails is undone") {
  Fixture f;
  REQUIRE(f.reconcile());
  stopDuring(f, "start");
  f.start();
  f.runtime.failNext("start", engineFault());
  REQUIRE(f.reconcile());
  CHECK(eventually([&] { return f.get("alice").status == 404; }));
  CHECK(f.isClean());
}

TEST_CASE("an engine that is away at the start postpones recovery and loses nothing") {
  Fixture f;
  REQUIRE(f.reconcile());
  stopDuring(f, "create");
  const FakeRuntime::Fault away{Error(Status::Unavailable, "cannot connect to the engine", "ENGINE_UNREACHABLE"),
                                false};
  f.runtime.failAlways("list", away);
  f.runtime.failAlways("inspect", away);
  f.start();
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "provisioning");
  CHECK(f.host->degraded().find("cannot connect") != std::string::npos);
  f.runtime.failAlways("list", std::nullopt);
  f.runtime.failAlways("inspect", std::nullopt);
  REQUIRE(f.reconcile());
  checkWhole(f);
  CHECK(f.host->degraded().empty());
}

TEST_CASE("stops and destroys that were cut short are finished at the next start") {
  {
    Fixture f;
    REQUIRE(f.provision("alice", "user_1").status == 201);
    f.runtime.hold("stop");
    f.host->send("POST", "/containers/alice/stop");
    REQUIRE(eventually([&] { return f.runtime.held("stop") == 1; }));
    f.stop();
    f.runtime.release("stop");
    f.start();
    CHECK(f.field("alice", "phase") == "stopping");
    REQUIRE(f.reconcile());
    CHECK(f.field("alice", "phase") == "stopped");
    CHECK(f.runtime.container("matrixos-alice")->state == "exited");
  }
  for (const char *call : {"stop", "remove", "volume_trash"}) {
    CAPTURE(call);
    Fixture f;
    REQUIRE(f.provision("alice", "user_1").status == 201);
    f.runtime.hold(call);
    f.host->send("DELETE", "/containers/alice");
    REQUIRE(eventually([&] { return f.runtime.held(call) == 1; }));
    f.stop();
    f.runtime.release(call);
    f.start();
    CHECK(f.field("alice", "status") == "deleting");
    REQUIRE(f.reconcile());
    CHECK(f.isClean());
    CHECK(f.runtime.trash().size() == 1);
  }
}

TEST_CASE("a start that was cut short goes on, also when its container is gone") {
  for (const bool gone : {false, true}) {
    CAPTURE(gone);
    Fixture f;
    REQUIRE(f.provision("alice", "user_1").status == 201);
    REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
    f.runtime.hold("start");
    f.host->send("POST", "/containers/alice/start");
    REQUIRE(eventually([&] { return f.runtime.held("start") == 1; }));
    f.stop();
    f.runtime.release("start");
    if (gone) f.runtime.removeBehind("matrixos-alice");
    f.start();
    CHECK(f.field("alice", "phase") == "starting");
    CHECK(f.field("alice", "status") == "stopped");
    REQUIRE(f.reconcile());
    checkWhole(f);
  }
}

TEST_CASE("records follow what the engine says") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  f.runtime.changeState("matrixos-alice", "exited", 1);
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "stopped");
  CHECK(f.field("alice", "lastError").find("exit code 1") != std::string::npos);

  f.runtime.changeState("matrixos-alice", "running"); // by hand
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.get("alice").body.find("172.18.0.5") != std::string::npos);

  f.runtime.removeBehind("matrixos-alice");
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "stopped");
  CHECK(f.field("alice", "containerId").empty());
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  checkWhole(f);
}

TEST_CASE("a restart finds running instances again, with their endpoints") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(eventually([&] { return f.runtime.eventsHeard(); }));
  REQUIRE(f.reconcile()); // what the engine's events of the start had asked for has been looked at
  const std::string rev = f.field("alice", "rev");
  const int inspects = f.runtime.calls("inspect");
  f.restart();
  REQUIRE(eventually([&] { // a pass, whoever asked for it: who asks for an instance before it has one looked at
    f.service->reconcile();
    return f.host->metric("matrixos_orchestrator_reconciles_total{outcome=\"ok\"}") >= 1 && f.service->pending() == 0;
  }));
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.get("alice").body.find("172.18.0.5") != std::string::npos);
  CHECK(f.runtime.calls("inspect") == inspects); // the list had said it all
  CHECK(std::stoull(f.field("alice", "rev")) > std::stoull(rev));
  // What lives in memory alone does not get in the way of the next write.
  CHECK(f.host->request("POST", "/containers/alice/stop").status == 200);
  checkWhole((f.host->request("POST", "/containers/alice/start"), f));
}

TEST_CASE("a pass that is asked for while one runs comes after it") {
  Fixture f;
  REQUIRE(f.reconcile());
  f.runtime.hold("list");
  const int before = f.runtime.calls("list");
  std::thread first([&] { f.service->reconcile(); });
  REQUIRE(eventually([&] { return f.runtime.held("list") == 1; }));
  f.service->reconcile(); // not for this thread, which does not wait
  f.runtime.release("list");
  first.join();
  CHECK(f.runtime.calls("list") >= before + 2);
}

TEST_CASE("what the platform has to do of itself neither turns anybody away nor goes first") {
  Fixture f(false);
  f.settings.concurrency = 1;
  f.settings.queueLimit = 1;
  f.start();
  constexpr int kMany = 20;
  for (int i = 0; i < kMany; ++i) {
    const std::string number = std::to_string(i);
    REQUIRE(f.provision("user" + number, "user_" + number).status == 201);
  }
  f.runtime.hold("inspect"); // before the engine's events lead to some
  for (int i = 0; i < kMany; ++i)
    f.runtime.changeState("matrixos-user" + std::to_string(i), "exited", 1);
  f.service->reconcile();
  REQUIRE(eventually([&] { return f.runtime.held("inspect") == 1 && f.service->pending() == kMany; }));
  const auto start = f.host->send("POST", "/containers/user0/start"); // oldest, and listings are newest first
  f.runtime.hold("start");
  f.runtime.release("inspect");
  REQUIRE(eventually([&] { return f.runtime.held("start") == 1; }));
  CHECK(f.service->pending() > kMany / 2);
  f.runtime.release("start");
  CHECK(f.host->answerTo(start).status == 200);
  REQUIRE(eventually([&] { return f.service->pending() == 0; }));
  CHECK(f.field("user0", "status") == "running");
  CHECK(f.field("user1", "status") == "stopped");
}

TEST_CASE("a list that fails is not an empty one") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  f.runtime.failNext("list", engineFault(true));
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.host->degraded().find("burps") != std::string::npos);
  REQUIRE(f.reconcile());
  checkWhole(f);
}

TEST_CASE("an event has the instance looked at without waiting for the next pass") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(eventually([&] { return f.runtime.calls("events") == 1; }));
  f.runtime.changeState("matrixos-alice", "exited", 137);
  f.runtime.sendEvent("died", "matrixos-alice");
  f.runtime.sendEvent("died", "matrixos-nobody");
  f.runtime.sendEvent("died", "somebody-elses");
  CHECK(eventually([&] { return f.field("alice", "status") == "stopped"; }));
}

TEST_CASE("a failed start is tried again after its time, but not for ever") {
  Fixture f(false);
  f.settings.retryLimit = 2;
  f.start();
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.failAlways("start", engineFault());
  CHECK(f.host->request("POST", "/containers/alice/start").status == 503);
  const int first = f.runtime.calls("start");
  for (int i = 0; i < 6; ++i) {
    const auto now = wallClockMs();
    REQUIRE(eventually([&] { return wallClockMs() > now + 2; }));
    REQUIRE(f.reconcile());
  }
  CHECK(f.runtime.calls("start") == first + 2);
  CHECK(f.field("alice", "status") == "failed");
  f.runtime.failAlways("start", std::nullopt);
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
}

TEST_CASE("times from before the clock was set back a day hold nothing up") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.failAlways("start", engineFault());
  CHECK(f.host->request("POST", "/containers/alice/start").status == 503);
  f.runtime.failAlways("start", std::nullopt);
  const std::int64_t tomorrow = wallClockMs() + 24LL * 3600 * 1000;
  f.host->database().exec("UPDATE containers SET retry_at = ?, last_active = ?", {tomorrow, tomorrow}, 1);
  f.restart();
  CHECK(f.field("alice", "status") == "failed");
  const auto lastActive = [&] { return parseTime(f.field("alice", "lastActive")).value_or(tomorrow); };
  CHECK(lastActive() <= wallClockMs());
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "running");
  CHECK(lastActive() <= wallClockMs());
  f.restart();
  CHECK(f.host->database().queryInt("SELECT last_active FROM containers").value_or(tomorrow) <= wallClockMs());
}

TEST_CASE("containers without a record are counted, reported and left alone at first") {
  Fixture f;
  f.runtime.addForeign("matrixos-ghost", {{MOS_LABEL_INSTALL, f.settings.installId}, {MOS_LABEL_INSTANCE, "lost"}});
  f.runtime.addForeign("other-platform", {{MOS_LABEL_INSTALL, "another"}});
  REQUIRE(f.reconcile());
  REQUIRE(f.reconcile());
  CHECK(f.host->metric("matrixos_orchestrator_orphans") == 1);
  CHECK(f.runtime.container("matrixos-ghost")->state == "running");
  CHECK(f.runtime.calls("remove") == 0);
}

TEST_CASE("a stopping daemon answers those who wait and takes nothing new") {
  Fixture f(false);
  f.settings.concurrency = 1;
  f.start();
  REQUIRE(f.reconcile());
  f.runtime.hold("create");
  const auto running = f.host->send("POST", "/containers/provision", R"({"handle":"alice","clerkUserId":"user_1"})");
  REQUIRE(eventually([&] { return f.runtime.held("create") == 1; }));
  const auto queued = f.host->send("POST", "/containers/provision", R"({"handle":"bobby","clerkUserId":"user_2"})");
  CHECK(f.service->stop());
  CHECK(f.host->answerTo(running).status == 503);
  CHECK(f.host->answerTo(queued).status == 503);
  CHECK(f.provision("carol", "user_3").status == 503);
  CHECK(f.rows("containers") == 1); // alice, whose intent was committed
}

TEST_CASE("after a restart an instance that is asked for is looked at before the list is there") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  f.stop();
  f.runtime.hold("list");
  f.start();
  REQUIRE(eventually([&] { return f.runtime.held("list") == 1; }));
  CHECK(eventually([&] { return f.get("alice").body.find("172.18.0.5") != std::string::npos; }));
  f.runtime.release("list");
}

TEST_CASE("an engine that was away for long is listened to and listed as soon as it answers again") {
  Fixture f(false);
  const FakeRuntime::Fault away{Error(Status::Unavailable, "cannot connect to the engine", "ENGINE_UNREACHABLE"),
                                false};
  for (const char *call : {"capabilities", "events", "list"})
    f.runtime.failAlways(call, away);
  f.start();
  // So many refusals that pauses which double would last half a minute by now.
  REQUIRE(eventually([&] { return f.runtime.calls("capabilities") + f.runtime.calls("events") >= 9; },
                     std::chrono::seconds(60)));
  for (const char *call : {"capabilities", "events", "list"})
    f.runtime.failAlways(call, std::nullopt);
  const int lists = f.runtime.calls("list");
  CHECK(eventually([&] { return f.runtime.listens() && f.runtime.calls("list") > lists; }, std::chrono::seconds(10)));
}

TEST_CASE("a start of what is being deleted is refused, whether it ever ran or not") {
  for (const bool ran : {false, true}) {
    CAPTURE(ran);
    Fixture f;
    REQUIRE(f.reconcile());
    if (ran) {
      REQUIRE(f.provision("alice", "user_1").status == 201);
    } else {
      stopDuring(f, "create");
      f.start();
    }
    f.runtime.failAlways("remove", engineFault());
    CHECK(f.host->request("DELETE", "/containers/alice").status == 503);
    REQUIRE(f.field("alice", "status") == "deleting");
    const auto topics = f.host->topics();
    const Answer answer = f.host->request("POST", "/containers/alice/start");
    CHECK(answer.status == 409);
    CHECK(answer.body.find("being deleted") != std::string::npos);
    CHECK(f.field("alice", "status") == "deleting");
    CHECK(f.host->topics() == topics);
    f.runtime.failAlways("remove", std::nullopt);
    REQUIRE(f.reconcile());
    CHECK(f.get("alice").status == 404);
    CHECK(f.isClean());
  }
}
