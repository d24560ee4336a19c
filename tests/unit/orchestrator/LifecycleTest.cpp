#include "Fixture.h"

#include <matrixos/orchestrator.hpp>
#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <future>

using namespace matrixos;
using namespace matrixos::test;

namespace {

/// A command over the ABI and its outcome.
struct Command {
  Status status = Status::Unknown;
  std::string json;
  std::string message;
};

template <typename Invoke>
std::future<Command> run(Invoke &&invoke) {
  auto promise = std::make_shared<std::promise<Command>>();
  auto future = promise->get_future();
  invoke([promise](const Outcome &outcome) {
    promise->set_value(
        {outcome.status, std::string(outcome.json), outcome.error != nullptr ? outcome.error->what() : ""});
  });
  return future;
}

OrchestratorClient client(Fixture &f) {
  return OrchestratorClient(f.service->orchestrator().table());
}

std::future<Command> stopIfUnused(Fixture &f, std::uint64_t seq) {
  return run([&](auto then) { client(f).stop(nullptr, "alice", seq, "idle", then); });
}

std::uint64_t seqOf(Fixture &f) {
  return std::stoull(f.field("alice", "activitySeq"));
}

void use(Fixture &f, const char *handle = "alice") {
  const mos_activity once{toAbi(handle), wallClockMs(), 1};
  client(f).recordActivity(&once, 1);
}

} // namespace

TEST_CASE("a start is one call of a runtime that describes what it started") {
  Fixture f;
  f.runtime.describesStarts = true;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  REQUIRE(f.reconcile()); // nothing else is asked of the engine meanwhile
  const int starts = f.runtime.calls("start"), inspects = f.runtime.calls("inspect");
  const Answer answer = f.host->request("POST", "/containers/alice/start");
  CHECK(answer.status == 200);
  CHECK(json::parseObject(answer.body)->getArray("endpoints")->size() == 1);
  CHECK(f.runtime.calls("start") == starts + 1);
  CHECK(f.runtime.calls("inspect") == inspects);
}

TEST_CASE("stop and start are idempotent and answer with the instance") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  for (int i = 0; i < 2; ++i) {
    const Answer stopped = f.host->request("POST", "/containers/alice/stop");
    CHECK(stopped.status == 200);
    const auto body = json::parseObject(stopped.body);
    CHECK(body->getValue<bool>("ok"));
    CHECK(body->getValue<std::string>("status") == "stopped");
    CHECK(body->getValue<std::string>("desired") == "stopped");
    CHECK(body->getArray("endpoints")->size() == 0);
  }
  CHECK(f.runtime.calls("stop") == 1);
  CHECK(f.runtime.container("matrixos-alice")->state == "exited");
  for (int i = 0; i < 2; ++i) {
    const Answer started = f.host->request("POST", "/containers/alice/start");
    CHECK(started.status == 200);
    CHECK(json::parseObject(started.body)->getValue<std::string>("status") == "running");
  }
  CHECK(f.runtime.calls("start") == 2); // one of the provision
  CHECK(f.runtime.calls("create") == 1);
  for (const char *path : {"/containers/nobody/start", "/containers/nobody/stop", "/containers/..%2f/stop"})
    CHECK(f.host->request("POST", path).status == 404);
  CHECK(f.host->request("DELETE", "/containers/nobody").status == 404);
}

TEST_CASE("a start that comes while the instance is being stopped waits and wins") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  f.runtime.hold("stop");
  const auto stop = f.host->send("POST", "/containers/alice/stop");
  REQUIRE(eventually([&] { return f.runtime.held("stop") == 1; }));
  CHECK(f.field("alice", "status") == "stopped");
  CHECK(f.field("alice", "phase") == "stopping");
  const auto start = f.host->send("POST", "/containers/alice/start");
  f.runtime.release("stop");
  CHECK(f.host->answerTo(stop).status == 200);
  CHECK(f.host->answerTo(start).status == 200);
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.runtime.container("matrixos-alice")->state == "running");
}

TEST_CASE("a thousand callers of one sleeper make one start") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.hold("start");
  std::atomic<int> ok{0};
  for (int i = 0; i < 1000; ++i) {
    client(f).start(nullptr, "alice", [&](const Outcome &outcome) { ok += outcome.status == Status::Ok ? 1 : 0; });
  }
  REQUIRE(eventually([&] { return f.runtime.held("start") == 1; }));
  f.runtime.release("start");
  REQUIRE(eventually([&] { return ok == 1000; }));
  CHECK(f.runtime.calls("start") == 2); // one of the provision
}

TEST_CASE("an idle stop is refused once the instance was used") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  const std::uint64_t seq = seqOf(f);
  use(f);
  CHECK(seqOf(f) == seq + 1);
  CHECK(stopIfUnused(f, seq).get().status == Status::Aborted);
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.runtime.calls("stop") == 0);

  // Used between the first look and the engine's turn: the write of the intent is where the hook strikes.
  const std::uint64_t again = seqOf(f);
  bool struck = false;
  f.host->onBatch([&](const std::string &) {
    if (!std::exchange(struck, true)) use(f);
  });
  CHECK(stopIfUnused(f, again).get().status == Status::Aborted);
  f.host->onBatch(nullptr);
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.field("alice", "desired") == "running");
  CHECK(f.get("alice").body.find("172.18.0.5") != std::string::npos);
  CHECK(f.runtime.calls("stop") == 0);

  CHECK(stopIfUnused(f, seqOf(f)).get().status == Status::Ok);
  CHECK(f.field("alice", "status") == "stopped");
}

TEST_CASE("an idle stop gives way to a start that waits behind it") {
  Fixture f(false);
  f.settings.concurrency = 1;
  f.start();
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.provision("bobby", "user_2").status == 201);
  f.runtime.hold("stop"); // occupies the only slot
  const auto other = f.host->send("POST", "/containers/bobby/stop");
  REQUIRE(eventually([&] { return f.runtime.held("stop") == 1; }));
  auto idle = stopIfUnused(f, seqOf(f));
  auto start = run([&](auto then) { client(f).start(nullptr, "alice", then); });
  f.runtime.release("stop");
  CHECK(idle.get().status == Status::Aborted);
  CHECK(start.get().status == Status::Ok);
  CHECK(f.host->answerTo(other).status == 200);
  CHECK(f.runtime.calls("stop") == 1);
}

TEST_CASE("a failed start says why and when to retry, and the next one may succeed") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.failNext("start", engineFault());
  const Answer answer = f.host->request("POST", "/containers/alice/start");
  CHECK(answer.status == 503);
  CHECK(answer.body.find("the engine burps") != std::string::npos);
  CHECK(f.field("alice", "status") == "failed");
  CHECK(f.field("alice", "lastError") == "the engine burps");
  CHECK(!f.field("alice", "retryAt").empty());
  CHECK(f.rows("containers") == 1);
  CHECK(f.rows("port_assignments") == 2);
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.field("alice", "lastError").empty());
}

TEST_CASE("an engine's words stay valid JSON, whatever bytes they are made of") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.failNext("start", {Error(Status::Unavailable, "caf\xC3\xA9 \xFF \xED\xA0\x80 \"x\" \x01"), false});
  CHECK(f.host->request("POST", "/containers/alice/start").status == 503);
  CHECK(f.field("alice", "lastError") == "caf\xC3\xA9 \uFFFD \uFFFD\uFFFD\uFFFD \"x\" \x01");
}

TEST_CASE("an instance that ends at once is failed, with its exit code") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.hold("inspect");
  const auto start = f.host->send("POST", "/containers/alice/start");
  REQUIRE(eventually([&] { return f.runtime.held("inspect") == 1; }));
  f.runtime.changeState("matrixos-alice", "exited", 137);
  f.runtime.release("inspect");
  CHECK(f.host->answerTo(start).status == 503);
  CHECK(f.field("alice", "lastError").find("137") != std::string::npos);
}

TEST_CASE("a container that is gone is made anew from the record") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.removeBehind("matrixos-alice");
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  CHECK(f.runtime.container("matrixos-alice")->state == "running");
  CHECK(f.runtime.container("matrixos-alice")->hostPorts == std::vector<int>{4001, 3001});
  CHECK(f.field("alice", "generation") == "2");
}

TEST_CASE("a frozen instance is thawed by a start") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  f.runtime.changeState("matrixos-alice", "paused");
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "sleeping");
  CHECK(f.host->request("POST", "/containers/alice/start").status == 200);
  CHECK(f.runtime.calls("unpause") == 1);
  CHECK(f.field("alice", "status") == "running");
}

TEST_CASE("a destroy takes everything but the data, and reserves the handle for its owner") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  const std::string id = f.field("alice", "id");
  const Answer gone = f.host->request("DELETE", "/containers/alice");
  CHECK(gone.status == 200);
  CHECK(gone.body == R"({"ok":true})");
  CHECK(f.isClean());
  CHECK(f.get("alice").status == 404);
  CHECK(f.runtime.trash().at(id) == f.settings.usersDir + "/alice/matrixos");
  CHECK(f.rows("handle_tombstones") == 1);
  CHECK(f.host->request("DELETE", "/containers/alice").status == 404);

  CHECK(f.provision("alice", "user_2").status == 409);
  CHECK(f.provision("alice", "user_1").status == 201);
  CHECK(f.field("alice", "id") != id);
  CHECK(f.host->request("DELETE", "/containers/alice").status == 200);
  f.restart();
  CHECK(f.provision("alice", "user_2").status == 409);
  f.host->database().exec("UPDATE handle_tombstones SET expires_at = 1");
  CHECK(f.provision("alice", "user_2").status == 201);
}

TEST_CASE("a destroy that fails at any step is finished by the next one or by the reconciler") {
  for (const char *call : {"list", "stop", "remove", "volume_ensure", "volume_trash"}) {
    for (const bool viaReconciler : {false, true}) {
      CAPTURE(call);
      Fixture f;
      REQUIRE(f.provision("alice", "user_1").status == 201);
      REQUIRE(eventually([&] { return f.runtime.calls("list") != 0; })); // by the first pass
      f.runtime.failNext(call, engineFault());
      CHECK(f.host->request("DELETE", "/containers/alice").status == 503);
      CHECK(f.field("alice", "status") == "deleting");
      CHECK(f.host->request("POST", "/containers/alice/start").status == 409);
      if (viaReconciler)
        REQUIRE(f.reconcile());
      else
        CHECK(f.host->request("DELETE", "/containers/alice").status == 200);
      CHECK(f.isClean());
      CHECK(f.runtime.trash().size() == 1);
      CHECK(f.rows("handle_tombstones") == 1);
    }
  }
}

TEST_CASE("a stop that fails is carried on by the reconciler") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  f.runtime.failNext("stop", engineFault());
  CHECK(f.host->request("POST", "/containers/alice/stop").status == 503);
  CHECK(f.field("alice", "phase") == "stopping");
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "phase") == "stopped");
  CHECK(f.runtime.container("matrixos-alice")->state == "exited");
}

TEST_CASE("a caller's deadline ends the waiting, not the work") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  REQUIRE(f.host->request("POST", "/containers/alice/stop").status == 200);
  f.runtime.hold("start");
  const CallScope call(std::chrono::milliseconds(20));
  auto late = run([&](auto then) { client(f).start(call.abi(), "alice", then); });
  CHECK(late.get().status == Status::DeadlineExceeded);
  f.runtime.release("start");
  CHECK(eventually([&] { return f.field("alice", "status") == "running"; }));
}

TEST_CASE("an engine call that hangs ends at its deadline") {
  Fixture f(false);
  f.settings.createTimeout = std::chrono::milliseconds(50);
  f.start();
  REQUIRE(f.reconcile());
  f.runtime.hold("create");
  const Answer answer = f.provision("alice", "user_1");
  CHECK(answer.status == 503);
  CHECK(f.isClean());
}

TEST_CASE("listing is newest first, by status, and refuses a status that does not exist") {
  Fixture f;
  for (const char *handle : {"alice", "bobby", "carol"}) {
    REQUIRE(f.provision(handle, std::string("user-") + handle).status == 201);
    // Creation times have a resolution of a millisecond.
    const auto created = wallClockMs();
    REQUIRE(eventually([&] { return wallClockMs() > created; }));
  }
  REQUIRE(f.host->request("POST", "/containers/bobby/stop").status == 200);
  const auto handles = [&](const std::string &path) {
    std::string all;
    const Answer answer = f.host->request("GET", path);
    CHECK(answer.status == 200);
    const auto array = json::parse(answer.body).extract<json::Array::Ptr>();
    for (unsigned i = 0; i < array->size(); ++i)
      all += array->getObject(i)->getValue<std::string>("handle") + " ";
    return all;
  };
  CHECK(handles("/containers") == "carol bobby alice ");
  CHECK(handles("/containers?status=running") == "carol alice ");
  CHECK(handles("/containers?status=stopped") == "bobby ");
  CHECK(handles("/containers?status=deleting") == "");
  CHECK(f.host->request("GET", "/containers?status=deleted").status == 400);
  CHECK(f.host->request("GET", "/containers?status=").status == 400);
  f.restart();
  CHECK(handles("/containers") == "carol bobby alice ");
  CHECK(eventually([&] { return f.host->metric("matrixos_instances{status=\"running\"}") == 2; }));
}

TEST_CASE("activity shows at once, reaches the disk at a flush and survives a full one") {
  Fixture f;
  REQUIRE(f.provision("alice", "user_1").status == 201);
  const std::uint64_t before = seqOf(f);
  const mos_activity burst{toAbi("alice"), wallClockMs(), 7};
  client(f).recordActivity(&burst, 1);
  use(f, "nobody");
  CHECK(seqOf(f) == before + 7);
  f.host->onBatch([](const std::string &) { throw Error(Status::ResourceExhausted, "disk full"); });
  CHECK_THROWS(f.service->orchestrator().flushActivity());
  f.host->onBatch(nullptr);
  f.service->orchestrator().flushActivity();
  const auto onDisk = [&] { return f.host->database().queryInt("SELECT activity_seq FROM containers"); };
  CHECK(onDisk() == static_cast<std::int64_t>(before + 7));
  use(f);
  f.restart(); // a stop writes what is left
  CHECK(seqOf(f) == before + 8);
}
