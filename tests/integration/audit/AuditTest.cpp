// The audit log in the real daemon: who does what is in it before they are told so, also when the daemon is killed, and
// whatever is done to it while the daemon is away is named.
#include "audit/Record.h"
#include "support/DaemonProcess.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

using Values = DaemonProcess::Values;

/// The platform on the simulated engine, with the log and somebody who knows users by their badges.
class Audited {
public:
  explicit Audited(const Values &more = {}) : daemon_(valuesWith(more)) {
    daemon_.rewriteConfig(
        {{"runtime-simulated.state_dir", (daemon_.dir() / "engine").string()}, {"storage.path", database().string()}});
    daemon_.start();
  }

  DaemonProcess &daemon() { return daemon_; }
  fs::path database() const { return daemon_.dir() / "data/log.db"; }
  fs::path head() const { return daemon_.dir() / "data/audit.head"; }

  /// Over the api socket, with a token: the platform's secret, "badge-alice", or "" for none.
  Response ask(const std::string &method, const std::string &target, const std::string &token,
               const std::string &body = {}, const std::string &id = {}) const {
    Headers headers;
    if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
    if (!id.empty()) headers.emplace_back("X-Request-Id", id);
    return request(daemon_.apiSocket(), method, target, headers, body);
  }
  std::string secret() const {
    std::string text = readFile(daemon_.dir() / "data/admin.secret");
    return text.substr(0, text.find_last_not_of('\n') + 1);
  }
  static std::string provisionBody(const std::string &handle) {
    return R"({"handle":")" + handle + R"(","clerkUserId":")" + handle + R"("})";
  }
  /// Newest first, without what the log says of itself: "principal action handle status before>after", one a line.
  std::string told(const std::string &filter = {}) const {
    const auto answer = json::parseObject(daemon_.api("GET", "/audit?" + filter).body);
    const auto records = json::findArray(*answer, "records");
    std::string lines;
    for (unsigned i = 0; i < records->size(); ++i) {
      const auto record = records->getObject(i);
      const auto text = [&](const char *name) { return json::findString(*record, name).value_or("-"); };
      if (text("principal") == "platform") continue;
      lines += text("principal") + " " + text("action") + " " + text("handle") + " " +
               std::to_string(json::getInt(*record, "status", -1)) + " " + text("before") + ">" + text("after") + "\n";
    }
    return lines;
  }
  void sql(const std::string &text) const {
    sqlite3 *db = nullptr;
    REQUIRE(sqlite3_open(database().c_str(), &db) == SQLITE_OK);
    CAPTURE(text);
    CHECK(sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
  }
  std::int64_t tail() const {
    const auto answer = json::parseObject(daemon_.api("GET", "/audit?limit=1").body);
    return json::getInt(*json::findArray(*answer, "records")->getObject(0), "seq", 0);
  }

private:
  Values valuesWith(const Values &more) const {
    for (const char *id : {"orchestrator", "runtime-simulated", "audit"})
      fs::copy_file(buildDir() / "plugins" / (std::string(id) + ".so"), folder_ / (std::string(id) + ".so"));
    for (const char *id : {"badge", "desk", "silent"})
      fs::copy_file(buildDir() / ("test-plugins/audit-" + std::string(id) + ".so"),
                    folder_ / (std::string(id) + ".so"));
    Values all{{"plugins.path", folder_.path().string()},
               {"plugins.enabled", "runtime-simulated, orchestrator, badge, audit, desk"},
               {"orchestrator.runtime", "simulated"},
               {"api.auth", "secret"}};
    for (const auto &[key, value] : more)
      all[key] = value;
    return all;
  }

  TempDir folder_;
  DaemonProcess daemon_;
};

struct Tampering {
  const char *name;
  std::string what;
  std::int64_t row; ///< the first that is not as it was written
};

} // namespace

TEST_CASE("what operators, owners and strangers do is in the log, with before and after") {
  Audited audited;
  const std::string secret = audited.secret();
  CHECK(audited.daemon().api("POST", "/containers/provision", Audited::provisionBody("alice")).status == 201);
  CHECK(audited.ask("POST", "/containers/alice/stop", secret).status == 200);
  CHECK(audited.ask("POST", "/containers/alice/start", "badge-alice").status == 200);
  CHECK(audited.ask("POST", "/containers/alice/stop", "badge-bobby").status == 403);
  CHECK(audited.ask("POST", "/containers/alice/stop", "badge-stolen").status == 401);
  CHECK(audited.ask("GET", "/containers/alice", "badge-alice").status == 200);
  CHECK(audited.ask("GET", "/containers/alice", secret, {}, "req-7").status == 200);
  CHECK(audited.ask("GET", "/containers", secret).status == 200);
  CHECK(audited.ask("DELETE", "/containers/alice", secret).status == 200);
  CHECK(audited.ask("POST", "/containers/alice/start", secret).status == 404);
  const std::string root = "uid:" + std::to_string(::geteuid());
  CHECK(eventually([&] { return audited.tail() == 9; }));
  CHECK(audited.told() == "admin POST /containers/:handle/start alice 404 ->-\n"
                          "admin DELETE /containers/:handle alice 200 running>-\n"
                          "admin GET /containers/:handle alice 200 ->-\n"
                          "- POST /containers/:handle/stop alice 401 ->-\n"
                          "user:bobby POST /containers/:handle/stop alice 403 ->-\n"
                          "user:alice POST /containers/:handle/start alice 200 stopped>running\n"
                          "admin POST /containers/:handle/stop alice 200 running>stopped\n" +
                              root + " POST /containers/provision alice 201 ->running\n");
  CHECK(audited.told("actor=user:alice") == "user:alice POST /containers/:handle/start alice 200 stopped>running\n");
  CHECK(audited.told("action=DELETE*&since=1h") == "admin DELETE /containers/:handle alice 200 running>-\n");
  CHECK(audited.told("since=2999-01-01T00:00:00Z").empty());
  checkHas(audited.daemon().api("GET", "/audit?limit=1&before=3").body,
           R"("given":{"clerkUserId":"alice","handle":"alice"})");
  checkHas(audited.daemon().api("GET", "/audit?action=GET*").body, R"("requestId":"req-7")");
  // For operators with the scope alone.
  CHECK(audited.ask("GET", "/audit", "badge-alice").status == 403);
  CHECK(audited.ask("GET", "/audit/export", "").status == 401);
  CHECK(audited.daemon().api("GET", "/audit?limit=0").status == 400);
  CHECK(audited.daemon().api("GET", "/audit?since=soon").status == 400);

  const Finished list = audited.daemon().ctl({"audit", "list", "--actor", "user:bobby"});
  CHECK(list.status == 0);
  checkHas(list.out, "POST /containers/:handle/stop");
  const Finished verify = audited.daemon().ctl({"audit", "verify"});
  CHECK(verify.status == 0);
  checkHas(verify.out, "records are as they were written");
  const Finished all = audited.daemon().ctl({"audit", "export"});
  CHECK(all.status == 0);
  // Whoever has the export can check it.
  std::istringstream lines(all.out);
  std::string before(64, '0'), line;
  std::int64_t count = 0;
  while (std::getline(lines, line)) {
    const auto record = json::parseObject(line);
    const auto text = [&](const char *name) { return json::getString(*record, name); };
    CHECK(json::getInt(*record, "seq", 0) == ++count);
    before = audit::chainHash(before, count,
                              {text("time"), text("principal"), text("handle"), text("action"), text("event")});
    CHECK(before == text("hash"));
  }
  CHECK(count >= 9);
}

TEST_CASE("what somebody was told has happened is in the log, whenever the daemon is killed") {
  Audited audited(Values{{"audit.strangers", "100000"}});
  REQUIRE(audited.daemon().api("POST", "/containers/provision", Audited::provisionBody("alice")).status == 201);
  const std::string secret = audited.secret();
  std::mutex mutex;
  std::set<std::string> answered;
  for (int round = 0; round < 3; ++round) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> clients;
    for (int client = 0; client < 4; ++client) {
      clients.emplace_back([&, client] {
        for (int i = 0; !stop; ++i) {
          const std::string id = "k-" + std::to_string(round) + "-" + std::to_string(client) + "-" + std::to_string(i);
          try {
            // Of nobody: it is refused by the orchestrator, and is told all the same.
            if (audited.ask("POST", "/containers/nobody/start", secret, {}, id).status != 404) continue;
          } catch (const std::exception &) { // the daemon has just gone
            continue;
          }
          const std::lock_guard lock(mutex);
          answered.insert(id);
        }
      });
    }
    const std::size_t enough = static_cast<std::size_t>(round + 1) * 40;
    CHECK(eventually([&] {
      const std::lock_guard lock(mutex);
      return answered.size() >= enough;
    }));
    audited.daemon().kill();
    stop = true;
    for (std::thread &client : clients)
      client.join();
    audited.daemon().start();
    const Finished verify = audited.daemon().ctl({"audit", "verify"});
    CAPTURE(verify.out);
    CHECK(verify.status == 0);
  }
  const std::string all = audited.daemon().ctl({"audit", "export"}).out;
  for (const std::string &id : answered) {
    CAPTURE(id);
    CHECK(all.find("\\\"requestId\\\":\\\"" + id + "\\\"") != std::string::npos);
  }
}

TEST_CASE("whatever is done to the log of a daemon that is away is named") {
  Audited audited;
  REQUIRE(audited.daemon().api("POST", "/containers/provision", Audited::provisionBody("alice")).status == 201);
  const auto copy = [&](const fs::path &from, const fs::path &to) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
  };
  CHECK(audited.daemon().stop() == 0);
  const fs::path older = audited.daemon().dir() / "older.db";
  copy(audited.database(), older);
  audited.daemon().start();
  for (const char *what : {"stop", "start", "stop", "start"})
    CHECK(audited.daemon().api("POST", std::string("/containers/alice/") + what).status == 200);
  REQUIRE(audited.tail() == 8);
  CHECK(audited.daemon().stop() == 0);
  const fs::path right = audited.daemon().dir() / "right.db", rightHead = audited.daemon().dir() / "right.head";
  copy(audited.database(), right);
  copy(audited.head(), rightHead);

  const std::string columns = "at, principal, handle, action, event, hash FROM audit_log WHERE seq = ";
  const std::vector<Tampering> all{
      {"edit", "UPDATE audit_log SET principal = 'uid:7' WHERE seq = 3", 3},
      {"delete", "DELETE FROM audit_log WHERE seq = 2", 2},
      {"insert", "INSERT INTO audit_log SELECT 10, " + columns + "9", 10},
      {"reorder",
       "UPDATE audit_log SET seq = 99 WHERE seq = 3; UPDATE audit_log SET seq = 3 WHERE seq = 4; "
       "UPDATE audit_log SET seq = 4 WHERE seq = 99",
       3},
      {"cut tail", "DELETE FROM audit_log WHERE seq > 3", 4},
      {"swap", "", 4}};
  for (const Tampering &tampering : all) {
    CAPTURE(tampering.name);
    if (tampering.what.empty())
      copy(older, audited.database());
    else
      audited.sql(tampering.what);
    audited.daemon().start();
    const Finished verify = audited.daemon().ctl({"audit", "verify"});
    CHECK(verify.status != 0);
    checkHas(verify.out, "row " + std::to_string(tampering.row) + " ");
    CHECK(audited.daemon().api("GET", "/audit/verify").status == 409);
    CHECK(audited.daemon().stop() == 0);
    for (const char *more : {"-wal", "-shm"})
      fs::remove(audited.database().string() + more);
    copy(right, audited.database());
    copy(rightHead, audited.head());
  }
  audited.daemon().start();
  CHECK(audited.daemon().ctl({"audit", "verify"}).status == 0);
}

TEST_CASE("a log that cannot be written holds nobody up for long, and operators are told") {
  Audited audited;
  REQUIRE(audited.daemon().api("POST", "/containers/provision", Audited::provisionBody("alice")).status == 201);
  const fs::path inTheWay = audited.head().string() + ".new";
  fs::create_directory(inTheWay);
  CHECK(audited.daemon().api("POST", "/containers/alice/stop").status == 200);
  const std::string ready = audited.daemon().api("GET", "/ready").body;
  checkHas(ready, R"("audit":"the audit log does not keep what people do: )");
  checkHas(ready, "the audit log takes no records");
  checkHas(audited.daemon().api("GET", "/metrics").body, "matrixos_audit_late_total 1");
  fs::remove(inTheWay);
  CHECK(eventually([&] { return audited.tail() >= 3; }));
  checkHas(audited.told(), "POST /containers/:handle/stop alice 200 running>stopped");
  CHECK(audited.daemon().api("POST", "/containers/alice/start").status == 200);
  CHECK(eventually([&] { return audited.daemon().api("GET", "/ready").body.find("audit log") == std::string::npos; }));
  CHECK(audited.daemon().ctl({"audit", "verify"}).status == 0);
}

TEST_CASE("plugins have recorded what happens beside the API") {
  Audited audited;
  const auto record = [&](const std::string &event) { return audited.daemon().api("POST", "/desk/record", event); };
  CHECK(record(R"({"action":"sign-in","source":"desk","principal":"user:2abc","kind":"user","address":"203.0.113.7"})")
            .status == 200);
  CHECK(audited.told("action=sign-in") == "user:2abc sign-in - -1 ->-\n");
  checkHas(audited.daemon().api("GET", "/audit?action=sign-in").body, R"("source":"desk")");
  const Response bad = record(R"({"action":"sign-in","password":"hunter2"})");
  CHECK(bad.status == 400);
  CHECK(member(bad.body, "reason") == "BAD_EVENT");
  CHECK(audited.daemon()
            .api("POST", "/desk/note", R"({"action":"share","source":"desk","principal":"a","handle":"bob"})")
            .status == 200);
  CHECK(eventually([&] { return audited.told("handle=bob&action=share") == "a share bob -1 ->-\n"; }));
  CHECK(audited.daemon().log().find("hunter2") == std::string::npos);
  CHECK(audited.daemon().ctl({"audit", "verify"}).status == 0);
}

TEST_CASE("a log that says nothing holds an answer for a while, not for ever") {
  Audited audited(Values{{"plugins.enabled", "runtime-simulated, orchestrator, audit, silent"}});
  CHECK(audited.daemon().api("POST", "/containers/provision", Audited::provisionBody("alice")).status == 201);
  checkHas(audited.daemon().api("GET", "/ready").body, R"("audit":"the audit log does not keep what people do: )");
  checkHas(audited.daemon().api("GET", "/metrics").body, "matrixos_audit_late_total 1");
  // The other one has it, and that is no news.
  checkHas(audited.told(), "POST /containers/provision alice 201 ->running");
  CHECK(audited.daemon().api("POST", "/containers/alice/stop").status == 200);
  CHECK(audited.daemon().log().find("keeps what people do again") == std::string::npos);
}

TEST_CASE("a log that was switched off holds nothing up, and shows that it was") {
  Audited audited;
  CHECK(audited.daemon().api("POST", "/plugins/audit/disable").status == 200);
  CHECK(audited.daemon().api("POST", "/containers/provision", Audited::provisionBody("alice")).status == 201);
  CHECK(audited.daemon().api("POST", "/plugins/audit/enable").status == 200);
  CHECK(audited.daemon().api("POST", "/containers/alice/stop").status == 200);
  checkHas(audited.told(), "POST /containers/:handle/stop alice 200 running>stopped");
  // That it was away is to be seen.
  checkHas(audited.daemon().ctl({"audit", "list", "--action", "audit*"}).out, "audit stopped");
  CHECK(audited.daemon().ctl({"audit", "verify"}).status == 0);
}
