#include "Fixture.h"
#include "InstanceToken.h"
#include "unit/storage/ChildProcess.h"
#include "unit/storage/Integrity.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;

namespace {

/// What is wrong between the records and the engine once all is quiet; empty: nothing.
std::string findFault(Fixture &f) {
  storage::Database &db = f.host->database();
  storage::checkIntegrity(db.file());
  std::string fault;
  std::set<std::string> named;
  std::int64_t rows = 0;
  db.query("SELECT handle, id, phase, container_id, port, shell_port, token_hash FROM containers", {},
           [&](const storage::Row &row) {
             ++rows;
             const std::string name = "matrixos-" + std::string(row.text(0));
             const std::string phase(row.text(2));
             named.insert(name);
             const auto container = f.runtime.container(name);
             if (phase != "running" && phase != "stopped") fault = name + " is " + phase;
             if (!container) fault = name + " has no container";
             if (!container) return true;
             if (container->ref != row.text(3)) fault = name + " is recorded as another container";
             if (container->labels.at(MOS_LABEL_INSTANCE) != row.text(1)) fault = name + " belongs to another record";
             if ((container->state == "running") != (phase == "running")) fault = name + " is not what the record says";
             if (container->hostPorts !=
                 std::vector<int>{static_cast<int>(row.integer(4)), static_cast<int>(row.integer(5))})
               fault = name + " has other ports than its record";
             if (orchestrator::InstanceToken::hashOf(f.runtime.env(name, "MATRIX_TOKEN")) != row.text(6))
               fault = name + " has another token than its record";
             if (f.runtime.volumeRefs().count(f.settings.usersDir + "/" + std::string(row.text(0)) + "/matrixos") != 1)
               fault = name + " has lost its data";
             return true;
           });
  if (static_cast<std::int64_t>(f.runtime.count()) != rows) fault = "containers without a record";
  if (db.queryInt("SELECT COUNT(*) FROM port_assignments") != 2 * rows) fault = "port assignments are wrong in number";
  if (db.queryInt("SELECT COUNT(*) FROM port_assignments p JOIN containers c ON c.id = p.instance_id AND "
                  "p.port = CASE p.kind WHEN 'gateway' THEN c.port ELSE c.shell_port END") != 2 * rows)
    fault = "port assignments and records differ";
  if (rows == 0 && !f.runtime.networks().empty()) fault = "a network is left";
  return fault;
}

/// What the child was told, in order.
struct Story {
  std::set<std::string> acknowledged;
  bool died = false;
};

Story runChild(const std::filesystem::path &dir, const std::string &failpoint) {
  Story story;
  ChildProcess child("crash child", dir.string(), failpoint);
  for (std::string line; child.readLine(line);) {
    if (line.rfind("done:", 0) == 0) story.acknowledged.insert(line.substr(5));
  }
  story.died = child.wait() == -1;
  return story;
}

} // namespace

TEST_CASE("crash child" * doctest::skip()) {
  Fixture f(true, childArgument());
  const auto tell = [](std::uint32_t status, std::uint32_t wanted, const char *what) {
    if (status != wanted) ::_exit(4);
    say(std::string("done:") + what);
  };
  f.reconcile();
  tell(f.provision("alice", "user_1").status, 201, "provisioned");
  tell(f.host->request("POST", "/containers/alice/stop").status, 200, "stopped");
  tell(f.host->request("POST", "/containers/alice/start").status, 200, "started");
  f.runtime.changeState("matrixos-alice", "exited", 1);
  f.reconcile();
  f.runtime.removeBehind("matrixos-alice");
  f.runtime.failNext("create", engineFault(true)); // it is made, and nobody hears of it
  tell(f.host->request("POST", "/containers/alice/start").status, 503, "lost");
  tell(f.host->request("POST", "/containers/alice/start").status, 200, "renewed");
  f.runtime.failNext("start", engineFault());
  tell(f.provision("bobby", "user_2").status, 503, "undone");
  tell(f.provision("carol", "user_3").status, 201, "carol");
  tell(f.host->request("DELETE", "/containers/alice").status, 200, "deleted");
}

TEST_CASE("the daemon may die anywhere: afterwards records and engine agree and nothing acknowledged is lost") {
  const std::vector<std::string> places{"provision.before_tx:1",
                                        "provision.committed:1",
                                        "provision.dir_made:1",
                                        "provision.pulled:1",
                                        "provision.create_before:1",
                                        "provision.create_before:2",
                                        "provision.create_before:3",
                                        "provision.created_uncommitted:1",
                                        "provision.start_before:1",
                                        "provision.started_uncommitted:1",
                                        "provision.health_uncommitted:1",
                                        "provision.start_before:2",
                                        "provision.started_uncommitted:2",
                                        "provision.health_uncommitted:2",
                                        "stop.cas_done:1",
                                        "stop.stopped_uncommitted:1",
                                        "reconcile.listed:2",
                                        "reconcile.adopted_uncommitted:1",
                                        "undo.recorded:1",
                                        "undo.container_gone:1",
                                        "undo.final:1",
                                        "provision.created_uncommitted:2",
                                        "provision.created_uncommitted:3",
                                        "provision.created_uncommitted:4",
                                        "delete.recorded:1",
                                        "delete.container_gone:1",
                                        "delete.volume_renamed:1",
                                        "delete.final:1"};
  for (const std::string &place : places) {
    CAPTURE(place);
    const TempDir dir;
    const Story story = runChild(dir.path(), place);
    CHECK(story.died);
    Fixture f(true, dir.path());
    REQUIRE(f.reconcile());
    REQUIRE(f.reconcile());
    CHECK(findFault(f) == "");
    const auto told = [&](const char *what) { return story.acknowledged.count(what) != 0; };
    if (told("provisioned") && !told("carol")) CHECK(f.get("alice").status == 200);
    if (told("carol")) CHECK(f.field("carol", "status") == "running");
    if (told("undone")) CHECK(f.get("bobby").status == 404);
    // Data is in its place or in the trash, whatever happened.
    const std::string data = f.settings.usersDir + "/alice/matrixos";
    const bool kept = f.runtime.volumeRefs().count(data) == 1;
    const auto trash = f.runtime.trash();
    const auto moved = std::count_if(trash.begin(), trash.end(), [&](const auto &item) { return item.second == data; });
    if (told("provisioned")) CHECK((kept ? 1 : 0) + moved == 1);
    // Whoever got no answer asks again.
    CHECK(f.provision("carol", "user_3").status / 100 == 2);
    CHECK(findFault(f) == "");
  }
}

TEST_CASE("a crash during recovery is recovered from") {
  for (const char *place : {"provision.created_uncommitted:1", "provision.started_uncommitted:1"}) {
    CAPTURE(place);
    const TempDir dir;
    CHECK(runChild(dir.path(), "provision.committed:1").died);
    CHECK(runChild(dir.path(), place).died); // its first reconcile takes up alice
    Fixture f(true, dir.path());
    REQUIRE(f.reconcile());
    CHECK(f.field("alice", "status") == "running");
    CHECK(findFault(f) == "");
  }
}

TEST_CASE("the oracle of the crash tests sees what is wrong") {
  const auto seeded = [](const std::function<void(Fixture &)> &damage) {
    Fixture f;
    REQUIRE(f.provision("alice", "user_1").status == 201);
    REQUIRE(findFault(f) == "");
    damage(f);
    return findFault(f);
  };
  CHECK(seeded([](Fixture &f) { f.runtime.removeBehind("matrixos-alice"); }) != "");
  CHECK(seeded([](Fixture &f) { f.runtime.changeState("matrixos-alice", "exited"); }) != "");
  CHECK(seeded([](Fixture &f) { f.runtime.addForeign("matrixos-other", {}); }) != "");
  CHECK(seeded([](Fixture &f) { f.host->database().exec("DELETE FROM port_assignments WHERE kind = 'shell'"); }) != "");
  CHECK(seeded([](Fixture &f) { f.host->database().exec("UPDATE containers SET port = 4999"); }) != "");
  CHECK(seeded([](Fixture &f) { f.host->database().exec("UPDATE containers SET phase = 'starting'"); }) != "");
  CHECK(seeded([](Fixture &f) { f.host->database().exec("UPDATE containers SET token_hash = 'another'"); }) != "");
}
