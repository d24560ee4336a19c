// What a plugin does to the database that it must not: it is refused or ended, named in the log, in /ready and in the
// metrics, and everybody else goes on. The plugin: tests/fakes/plugins/hostile/.
#include "support/DaemonProcess.h"
#include "support/TempDir.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

using Values = DaemonProcess::Values;

const std::string kEndless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) ";

std::string encoded(const std::string &text) {
  static const char *const digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

/// The platform on the simulated engine, with a plugin that has taken a dislike to its tables.
class Victim {
public:
  explicit Victim(const Values &values = {}) : daemon_(with(folder_, values)) { daemon_.start(); }

  DaemonProcess &daemon() { return daemon_; }
  /// "<status> <message>"
  std::string sql(const std::string &how, const std::string &text) const {
    const Response answer = daemon_.api("GET", "/fake-hostile/sql?how=" + how + "&text=" + encoded(text));
    return member(answer.body, "status") + " " + member(answer.body, "message");
  }
  Response provision(const std::string &handle) const {
    return daemon_.api("POST", "/containers/provision",
                       R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
  }
  bool metricReaches(const std::string &name, int least) const {
    return eventually([&] {
      const std::string body = daemon_.api("GET", "/metrics").body, front = name + "{plugin=\"fake-hostile\"} ";
      const std::size_t at = body.find(front);
      return at != std::string::npos && std::stoi(body.substr(at + front.size())) >= least;
    });
  }
  std::string ready() const { return daemon_.api("GET", "/ready").body; }

private:
  static Values with(const TempDir &folder, const Values &values) {
    for (const char *id : {"fake-good", "fake-hostile"})
      fs::copy_file(buildDir() / "test-plugins" / (std::string(id) + ".so"), folder / (std::string(id) + ".so"));
    for (const char *id : {"orchestrator", "runtime-simulated"})
      fs::copy_file(buildDir() / "plugins" / (std::string(id) + ".so"), folder / (std::string(id) + ".so"));
    Values all{{"plugins.path", folder.path().string()},
               {"plugins.enabled", "fake-good, fake-hostile, runtime-simulated, orchestrator"},
               {"orchestrator.runtime", "simulated"}};
    for (const auto &[key, value] : values)
      all[key] = value;
    return all;
  }

  TempDir folder_;
  DaemonProcess daemon_;
};

} // namespace

TEST_CASE("a plugin that goes for the tables of another is refused and named, and nothing has happened") {
  Victim victim;
  REQUIRE(victim.provision("alice").status == 201);
  int refused = 0;
  for (const char *text :
       {"UPDATE containers SET clerk_user_id = 'mallory'", "DELETE FROM port_assignments", "DROP TABLE containers",
        "ALTER TABLE containers RENAME TO mine", "CREATE INDEX mine ON containers (handle)",
        "CREATE TRIGGER mine AFTER INSERT ON containers BEGIN SELECT 1; END", "CREATE TABLE orchestrator_new (x)",
        "UPDATE matrixos_tables SET owner = 'fake-hostile'", "DELETE FROM schema_migrations"}) {
    CAPTURE(std::string(text));
    const std::string answer = victim.sql("batch", text);
    CHECK(has(answer, "7 "));
    CHECK(has(answer, "belongs to"));
    ++refused;
  }
  CHECK(
      has(victim.sql("query", "SELECT clerk_user_id FROM containers"), "the table containers belongs to orchestrator"));
  CHECK(has(victim.sql("batch", "ATTACH 'matrixos.db' AS other"), "3 "));
  CHECK(has(victim.sql("batch", "CREATE TEMP TABLE containers (x)"), "3 "));
  CHECK(has(victim.sql("batch", "PRAGMA writable_schema = 1"), "3 "));
  CHECK(victim.metricReaches("matrixos_plugin_trespasses_total", refused + 1));
  CHECK(has(victim.daemon().log(), "plugin fake-hostile: SQL"));
  CHECK(has(victim.daemon().log(), "the table containers belongs to orchestrator"));
  CHECK(has(victim.ready(), "the table containers belongs to orchestrator"));
  CHECK(has(victim.daemon().api("GET", "/containers").body, "user_alice"));
  CHECK(victim.daemon().api("GET", "/fake-good").status == 200);
  // What is its own it may have, also after a restart.
  CHECK(victim.sql("batch", "CREATE TABLE fake_hostile_own (x)") == "0 ");
  CHECK(victim.daemon().stop() == 0);
  victim.daemon().start();
  CHECK(victim.sql("batch", "INSERT INTO fake_hostile_own VALUES (1)") == "0 ");
  CHECK(has(victim.sql("batch", "DELETE FROM containers"), "belongs to orchestrator"));
  CHECK(has(victim.daemon().api("GET", "/containers").body, "user_alice"));
}

TEST_CASE("SQL without end is ended and named, and meanwhile others read and write") {
  Victim victim(Values{{"storage.query_timeout", "1s"}});
  CHECK(victim.sql("batch", "CREATE TABLE fake_hostile_own (x)") == "0 ");
  CHECK(has(victim.sql("query", kEndless + "SELECT n FROM c WHERE n < 0"), "4 "));
  CHECK(victim.metricReaches("matrixos_plugin_sql_overran_total", 1));
  CHECK(has(victim.daemon().log(), "ran longer than 1000 ms and was ended"));
  CHECK(has(victim.ready(), "longer than 1000 ms"));
  std::thread writes([&] {
    CHECK(has(victim.sql("batch", kEndless + "INSERT INTO fake_hostile_own SELECT n FROM c WHERE n < 0"), "4 "));
  });
  CHECK(victim.provision("alice").status == 201);
  writes.join();
  CHECK(
      has(victim.sql("slow-rows", "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3"), "its row callback took its time"));
  CHECK(has(victim.daemon().api("GET", "/containers").body, "user_alice"));
  CHECK(victim.daemon().api("GET", "/fake-good").status == 200);
}

TEST_CASE("a row callback that does not return is named while it does not, and holds up nobody") {
  Victim victim(Values{{"storage.query_timeout", "1s"}});
  victim.daemon().api("GET", "/fake-hostile/calls?fault=slow");
  std::thread rows(
      [&] { CHECK(has(victim.sql("slow-rows", "SELECT 1 UNION ALL SELECT 2"), "its row callback took its time")); });
  CHECK(eventually([&] { return has(victim.ready(), "a row callback of its SQL has not returned for"); }));
  CHECK(victim.provision("alice").status == 201);
  rows.join();
}

TEST_CASE("a plugin whose SQL does not end can be stopped and reloaded") {
  Victim victim(Values{{"storage.query_timeout", "1h"}});
  std::thread query([&] { victim.sql("query", kEndless + "SELECT n FROM c WHERE n < 0"); });
  std::thread batch(
      [&] { victim.sql("batch", "CREATE TABLE fake_hostile_own AS " + kEndless + "SELECT n FROM c WHERE n < 0"); });
  CHECK(eventually([&] { return victim.sql("inside", "") == "2 "; }));
  const Finished reload = victim.daemon().ctl({"plugins", "reload", "fake-hostile"});
  CHECK_MESSAGE(reload.status == 0, reload.out);
  query.join();
  batch.join();
  CHECK(victim.sql("query", "SELECT 1") == "0 ");
  CHECK(victim.provision("alice").status == 201);
}

TEST_CASE("a plugin that is older than its tables is told how to bring them back, and others keep what is theirs") {
  Victim victim(Values{{"plugins.required", "fake-good"}});
  REQUIRE(victim.provision("alice").status == 201);
  CHECK(victim.sql("batch", "CREATE TABLE fake_hostile_own (x UNIQUE)") == "0 ");
  CHECK(victim.daemon().stop() == 0);
  // As if a newer version had been there, after a backup.
  const fs::path file = victim.daemon().dir() / "data/matrixos.db";
  const std::string backup = file.string() + ".backup-orchestrator-3";
  fs::copy_file(file, backup);
  sqlite3 *raw = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
  CHECK(sqlite3_exec(raw,
                     "UPDATE containers SET clerk_user_id = 'newer'; INSERT INTO schema_migrations VALUES "
                     "('orchestrator', 4, 'future', 'x', '')",
                     nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);

  victim.daemon().start();
  CHECK(victim.sql("batch", "INSERT INTO fake_hostile_own VALUES (1)") == "0 ");
  const std::string reason = member(victim.daemon().api("GET", "/plugins/orchestrator").body, "reason");
  CHECK(has(reason, "install the newer version of orchestrator again"));
  CHECK(has(reason, "matrixosd --restore-tables=" + backup));
  const std::vector<std::string> restore{(buildDir() / "bin/matrixosd").string(),
                                         "--config=" + victim.daemon().configFile().string(),
                                         "--restore-tables=" + backup};
  CHECK(run(restore).status == 69); // it runs
  CHECK(victim.daemon().stop() == 0);
  const Finished restored = run(restore);
  CHECK_MESSAGE(restored.status == 0, restored.out);
  victim.daemon().start();
  CHECK(has(victim.daemon().api("GET", "/containers").body, "user_alice"));
  CHECK(has(victim.sql("batch", "INSERT INTO fake_hostile_own VALUES (1)"), "6 "));
}
