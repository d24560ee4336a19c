/// One home, one program; and a home that is missing is not an empty one.
#include "Fixture.h"

#include <doctest/doctest.h>

#include <string>

using namespace matrixos;
using namespace matrixos::test;

namespace {

constexpr const char *kName = "matrixos-alice";

struct Alice : Fixture {
  Alice() {
    REQUIRE(provision("alice", "user_1").status == 201);
    REQUIRE(reconcile());
    REQUIRE(reconcile());
  }
  Answer start() { return host->request("POST", "/containers/alice/start"); }
  Answer stopIt() { return host->request("POST", "/containers/alice/stop"); }
  std::map<std::string, std::string> labels() { return runtime.container(kName)->labels; }
};

} // namespace

TEST_CASE("a container that was renamed is still the instance's: found, followed, stopped, started and deleted") {
  Alice f;
  const std::string ref = f.runtime.container(kName)->ref;
  f.runtime.rename(kName, "somebody");
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "status") == "running");
  CHECK(f.field("alice", "containerId") == ref);
  f.runtime.changeState("somebody", "exited", 1);
  f.runtime.sendEvent("died", "somebody", 1);
  CHECK(eventually([&] { return f.field("alice", "status") == "stopped"; }));
  CHECK(f.start().status == 200);
  CHECK(f.runtime.container("somebody")->state == "running");
  CHECK(f.runtime.count() == 1);
  CHECK(f.host->metric("matrixos_orchestrator_orphans") == 0);
  CHECK(f.host->request("DELETE", "/containers/alice").status == 200);
  CHECK(f.isClean());
}

TEST_CASE("a container that the record has lost is found by the instance's label") {
  Alice f;
  const std::string ref = f.runtime.container(kName)->ref;
  f.runtime.rename(kName, "somebody");
  f.host->database().exec("UPDATE containers SET container_id = ''");
  f.restart();
  REQUIRE(f.reconcile());
  CHECK(f.field("alice", "containerId") == ref);
  CHECK(f.runtime.count() == 1);
}

TEST_CASE("before a container is made, the others of the instance are stopped or taken") {
  Alice f;
  REQUIRE(f.stopIt().status == 200);
  auto labels = f.labels();
  bool same = false;
  SUBCASE("one of another spec is stopped") {}
  SUBCASE("one of the same spec is taken") {
    same = true;
  }
  if (!same) labels[MOS_LABEL_SPEC_HASH] = "another";
  f.runtime.removeBehind(kName);
  f.runtime.addForeign("somebody", labels);
  CHECK(f.start().status == 200);
  CHECK(f.field("alice", "containerId") == f.runtime.container(same ? "somebody" : kName)->ref);
  CHECK(f.runtime.container("somebody")->state == (same ? "running" : "exited"));
  CHECK(f.runtime.count() == (same ? 1 : 2));
}

TEST_CASE("a second container of an instance is an orphan, is stopped and goes with the instance") {
  Alice f;
  f.runtime.addForeign("second", f.labels());
  REQUIRE(f.reconcile());
  CHECK(f.host->metric("matrixos_orchestrator_orphans") == 1);
  REQUIRE(f.reconcile());
  CHECK(f.runtime.container("second")->state == "exited");
  CHECK(f.runtime.container(kName)->state == "running");
  CHECK(f.field("alice", "containerId") == f.runtime.container(kName)->ref);
  CHECK(f.host->request("DELETE", "/containers/alice").status == 200);
  CHECK(f.isClean());
}

TEST_CASE("the container of another instance does not give way to a name") {
  Alice f;
  REQUIRE(f.provision("bobby", "user_2").status == 201);
  f.runtime.removeBehind(kName);
  f.runtime.rename("matrixos-bobby", kName);
  REQUIRE(f.reconcile());
  const Answer answer = f.start();
  CHECK(answer.status == 503);
  CHECK(answer.body.find("bobby") != std::string::npos);
  CHECK(f.runtime.container(kName)->state == "running");
  CHECK(f.field("bobby", "status") == "running");
}

TEST_CASE("a home that is missing is a failure, not an empty home") {
  Alice f;
  REQUIRE(f.stopIt().status == 200);
  f.runtime.knowsWhatExists = true;
  SUBCASE("its container is there yet") {}
  SUBCASE("its container is gone as well") {
    f.runtime.removeBehind(kName);
  }
  SUBCASE("the runtime makes what it is asked for") {
    f.runtime.knowsWhatExists = false;
  }
  f.runtime.loseVolumes();
  const Answer answer = f.start();
  CHECK(answer.status == 503);
  CHECK(answer.body.find("users/alice/matrixos") != std::string::npos);
  CHECK(f.field("alice", "status") == "failed");
  CHECK(f.runtime.volumeRefs().empty());
  const auto container = f.runtime.container(kName);
  CHECK((!container || container->state == "exited"));
}

TEST_CASE("who is deleted while his home is not mounted keeps his handle until it is") {
  Alice f;
  REQUIRE(f.stopIt().status == 200);
  f.runtime.unmounted = true;
  f.runtime.loseVolumes();
  CHECK(f.host->request("DELETE", "/containers/alice").status == 503);
  CHECK(f.field("alice", "status") == "deleting");
  f.runtime.unmounted = false;
  REQUIRE(f.reconcile());
  CHECK(f.get("alice").status == 404);
}
