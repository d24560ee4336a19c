// Every route of the API with good and bad input, on the admin socket of the real daemon, with the real engine.
#include "contract/Platform.h"
#include "contract/Row.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <memory>

using namespace matrixos;
using namespace matrixos::test;

namespace {

using Values = DaemonProcess::Values;

const std::vector<std::string> kInstance{"handle",    "clerkUserId", "containerId", "port",
                                         "shellPort", "status",      "createdAt",   "lastActive"};

constexpr const char *kBadHandle =
    "\"handle\" has to be 3 to 31 lower-case letters and digits, with single dashes between them, in all 32 characters "
    "at most, and not begin with xn--";
constexpr const char *kBadUser = "\"clerkUserId\" has to be 1 to 128 printable ASCII characters";

std::string provisionBody(const std::string &handle, const std::string &user) {
  return R"({"handle":")" + handle + R"(","clerkUserId":")" + user + "\"}";
}

std::string messageBody(const std::string &text, const std::string &from) {
  return R"({"text":")" + text + R"(","from":)" + from + "}";
}

/// The first column of the only row of `sql`, from the daemon's database.
std::string askDatabase(const DaemonProcess &daemon, const std::string &sql) {
  sqlite3 *raw = nullptr;
  const std::string file = (daemon.dir() / "data/matrixos.db").string();
  REQUIRE(sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> database(raw, sqlite3_close);
  sqlite3_busy_timeout(raw, 10000);
  sqlite3_stmt *prepared = nullptr;
  REQUIRE(sqlite3_prepare_v2(raw, sql.c_str(), -1, &prepared, nullptr) == SQLITE_OK);
  const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(prepared, sqlite3_finalize);
  REQUIRE(sqlite3_step(prepared) == SQLITE_ROW);
  const auto *text = sqlite3_column_text(prepared, 0);
  return text == nullptr ? "" : reinterpret_cast<const char *>(text);
}

/// No row, port, container, folder or network speaks of the handle.
void expectNothingLeft(Platform &platform, const std::string &handle, const std::string &network) {
  CAPTURE(handle);
  const auto count = [&](const std::string &sql) { return askDatabase(platform.daemon(), sql); };
  CHECK(count("SELECT count(*) FROM containers WHERE handle = '" + handle + "'") == "0");
  CHECK(count("SELECT count(*) FROM port_assignments") == "0");
  CHECK_FALSE(containerExists(handle));
  CHECK_FALSE(std::filesystem::exists(platform.daemon().usersDir() / handle));
  if (!network.empty()) CHECK_FALSE(networkExists(network));
}

/// One daemon for the cases that change nothing, so that each case can run alone.
Platform &shared() {
  static Platform platform;
  return platform;
}

} // namespace

TEST_CASE("the platform's own routes") {
  DaemonProcess &daemon = shared().daemon();
  const std::vector<Row> rows{
      {.name = "health",
       .target = "/health",
       .keys = {"status"},
       .fields = {{"content-type", "application/json"}},
       .answer = R"({"status":"ok"})"},
      {.name = "health, HEAD", .method = "HEAD", .target = "/health"},
      {.name = "health, query", .target = "/health?x=1", .answer = R"({"status":"ok"})"},
      {.name = "health, POST",
       .method = "POST",
       .target = "/health",
       .status = 405,
       .error = "this path does not know the method POST",
       .fields = {{"allow", "GET, HEAD, OPTIONS"}}},
      {.name = "health, invented method",
       .method = "BREW",
       .target = "/health",
       .status = 405,
       .error = "this path does not know the method BREW",
       .fields = {{"allow", "GET, HEAD, OPTIONS"}}},
      {.name = "ready", .target = "/ready", .keys = {"status", "plugins"}},
      {.name = "ready, PUT",
       .method = "PUT",
       .target = "/ready",
       .status = 405,
       .fields = {{"allow", "GET, HEAD, OPTIONS"}}},
      {.name = "metrics",
       .target = "/metrics",
       .fields = {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}},
      {.name = "status",
       .target = "/status",
       .keys = {"status", "plugins", "version", "pid", "startedMs", "platform", "configFiles"}},
      {.name = "effective configuration",
       .target = "/config",
       .fields = {{"content-type", "text/plain; charset=utf-8"}}},
      {.name = "routes", .target = "/routes", .keys = {"method", "path", "permission", "summary"}},
      {.name = "plugins",
       .target = "/plugins",
       .keys = {"id", "name", "version", "state", "enabled", "required", "provides", "needs"}},
      {.name = "one plugin",
       .target = "/plugins/proxy",
       .keys = {"id", "state", "version", "description", "generation", "file", "abiMajor", "hostMinor", "configKeys"}},
      {.name = "unknown plugin",
       .target = "/plugins/nope",
       .status = 404,
       .error = "there is no plugin \"nope\"; GET /plugins lists them"},
      {.name = "enable what runs", .method = "POST", .target = "/plugins/social/enable", .keys = {"id", "state"}},
      {.name = "enable unknown", .method = "POST", .target = "/plugins/nope/enable", .status = 404},
      {.name = "disable unknown",
       .method = "POST",
       .target = "/plugins/nope/disable",
       .status = 404,
       .error = "there is no plugin \"nope\""},
      {.name = "reload a plugin",
       .method = "POST",
       .target = "/plugins/social/reload",
       .keys = {"id", "state", "version", "generation", "previous", "configChanges"}},
      {.name = "reload unknown",
       .method = "POST",
       .target = "/plugins/nope/reload",
       .status = 404,
       .error = "there is no plugin \"nope\""},
      {.name = "reload a plugin, GET",
       .target = "/plugins/social/reload",
       .status = 405,
       .fields = {{"allow", "OPTIONS, POST"}}},
      {.name = "enable, GET",
       .target = "/plugins/social/enable",
       .status = 405,
       .fields = {{"allow", "OPTIONS, POST"}}},
      {.name = "reload",
       .method = "POST",
       .target = "/reload",
       .answer = R"({"applied":[],"needsRestart":[],"refused":[]})"},
      {.name = "reload, GET", .target = "/reload", .status = 405, .fields = {{"allow", "OPTIONS, POST"}}},
      {.name = "root", .target = "/", .status = 404, .error = "there is nothing at this path"},
      {.name = "unknown path", .target = "/nope", .status = 404, .error = "there is nothing at this path"},
      {.name = "empty segment", .target = "//health", .status = 404, .error = "there is nothing at this path"},
      {.name = "a slash too many", .target = "/health/", .status = 404, .error = "there is nothing at this path"},
      {.name = "dot segment",
       .target = "/x/../health",
       .status = 400,
       .error = "the path holds a dot segment; send it resolved"},
      {.name = "encoded dot segment",
       .target = "/x/%2e%2e/health",
       .status = 400,
       .error = "the path holds a dot segment; send it resolved"},
      {.name = "encoded NUL",
       .target = "/a%00b",
       .status = 400,
       .error = "the path holds a bad percent escape or a control byte"},
      {.name = "half an escape",
       .target = "/%zz",
       .status = 400,
       .error = "the path holds a bad percent escape or a control byte"},
      {.name = "options",
       .method = "OPTIONS",
       .target = "/containers",
       .status = 204,
       .fields = {{"allow", "GET, HEAD, OPTIONS"}}},
  };
  checkAll(rows, daemon.adminSocket());
}

TEST_CASE("bad provisions are refused and leave nothing behind") {
  Platform &platform = shared();
  const std::string target = "/containers/provision";
  const std::string handle = platform.handle("refused");
  const auto bad = [&](const char *name, const std::string &body, const char *error) {
    return Row{.name = name, .method = "POST", .target = target, .body = body, .status = 400, .error = error};
  };
  const std::vector<Row> rows{
      bad("no body", "", "malformed JSON: unexpected end of text"),
      bad("half an object", "{", "malformed JSON: unexpected end of text"),
      bad("words", "handle=" + handle, "the JSON document has to be an object, like {\"key\": …}"),
      bad("an array", "[]", "the JSON document has to be an object, like {\"key\": …}"),
      bad("a string", "\"x\"", "the JSON document has to be an object, like {\"key\": …}"),
      bad("null", "null", "the JSON document has to be an object, like {\"key\": …}"),
      bad("two documents", provisionBody(handle, "u") + "{}",
          "malformed JSON: Excess characters found after JSON end."),
      bad("no UTF-8", "{\"handle\":\"b\xff\",\"clerkUserId\":\"u\"}", "the JSON text is not valid UTF-8"),
      bad("deep", R"({"handle":)" + std::string(40, '[') + std::string(40, ']') + "}",
          "malformed JSON: Maximum depth exceeded"),
      bad("no handle", R"({"clerkUserId":"u"})", "\"handle\" is missing; it has to be a string"),
      bad("no user", R"({"handle":")" + handle + "\"}", "\"clerkUserId\" is missing; it has to be a string"),
      bad("handle null", R"({"handle":null,"clerkUserId":"u"})", "\"handle\" is missing; it has to be a string"),
      bad("handle a number", R"({"handle":5,"clerkUserId":"u"})", "\"handle\" has to be a string"),
      bad("handle an array", R"({"handle":["a"],"clerkUserId":"u"})", "\"handle\" has to be a string"),
      bad("user a number", R"({"handle":")" + handle + R"(","clerkUserId":5})", "\"clerkUserId\" has to be a string"),
      bad("user true", R"({"handle":")" + handle + R"(","clerkUserId":true})", "\"clerkUserId\" has to be a string"),
      bad("handle empty", provisionBody("", "u"), kBadHandle),
      bad("handle short", provisionBody("ab", "u"), kBadHandle),
      bad("handle long", provisionBody(std::string(33, 'a'), "u"), kBadHandle),
      bad("handle upper case", provisionBody("Alice", "u"), kBadHandle),
      bad("handle with a dot", provisionBody("al.ice", "u"), kBadHandle),
      bad("handle with a path", provisionBody("../etc", "u"), kBadHandle),
      bad("handle with a blank", provisionBody("al ice", "u"), kBadHandle),
      bad("handle with two dashes", provisionBody("al--ice", "u"), kBadHandle),
      bad("handle ends in a dash", provisionBody("alice-", "u"), kBadHandle),
      bad("handle as punycode", provisionBody("xn--alice", "u"), kBadHandle),
      bad("handle with a quote", provisionBody("a'--", "u"), kBadHandle),
      bad("handle reserved", provisionBody("admin", "u"), "\"handle\" may not be \"admin\": the name is reserved"),
      bad("handle of the API", provisionBody("api", "u"), "\"handle\" may not be \"api\": the name is reserved"),
      bad("user empty", provisionBody(handle, ""), kBadUser),
      bad("user long", provisionBody(handle, std::string(129, 'u')), kBadUser),
      bad("user with a line break", provisionBody(handle, "u\\n"), kBadUser),
      {.name = "too large",
       .method = "POST",
       .target = target,
       .body = std::string(65537, ' '),
       .status = 413,
       .error = "the body is larger than the 65536 bytes that this route takes"},
      {.name = "wrong method", .method = "PUT", .target = target, .body = provisionBody(handle, "u"), .status = 405},
  };
  checkAll(rows, platform.daemon().adminSocket());
  expectNothingLeft(platform, handle, "");
}

TEST_CASE("unknown instances") {
  DaemonProcess &daemon = shared().daemon();
  const std::string unknown = "there is no instance \"nobody\"";
  const std::string message = messageBody("hi", R"({"handle":"bob"})");
  std::vector<Row> rows;
  for (const auto &[method, target] :
       std::vector<std::pair<std::string, std::string>>{{"GET", "/containers/nobody"},
                                                        {"DELETE", "/containers/nobody"},
                                                        {"POST", "/containers/nobody/start"},
                                                        {"POST", "/containers/nobody/stop"},
                                                        {"GET", "/social/profiles/nobody"},
                                                        {"GET", "/social/profiles/nobody/ai"},
                                                        {"POST", "/social/send/nobody"}}) {
    const std::string body = target == "/social/send/nobody" ? message : "";
    rows.push_back(
        {.name = "unknown", .method = method, .target = target, .body = body, .status = 404, .error = unknown});
    std::string bad = target;
    bad.replace(bad.find("nobody"), 6, "No%20Body");
    rows.push_back({.name = "no handle at all",
                    .method = method,
                    .target = bad,
                    .body = body,
                    .status = 404,
                    .error = "there is no instance \"No Body\""});
  }
  checkAll(rows, daemon.adminSocket());
}

TEST_CASE("wrong methods and bad queries") {
  DaemonProcess &daemon = shared().daemon();
  const std::vector<Row> rows{
      {.name = "containers, POST",
       .method = "POST",
       .target = "/containers",
       .status = 405,
       .fields = {{"allow", "GET, HEAD, OPTIONS"}}},
      {.name = "container, PUT",
       .method = "PUT",
       .target = "/containers/alice",
       .status = 405,
       .fields = {{"allow", "DELETE, GET, HEAD, OPTIONS"}}},
      {.name = "start, GET",
       .target = "/containers/alice/start",
       .status = 405,
       .fields = {{"allow", "OPTIONS, POST"}}},
      {.name = "stop, DELETE",
       .method = "DELETE",
       .target = "/containers/alice/stop",
       .status = 405,
       .fields = {{"allow", "OPTIONS, POST"}}},
      {.name = "users, POST",
       .method = "POST",
       .target = "/social/users",
       .status = 405,
       .fields = {{"allow", "GET, HEAD, OPTIONS"}}},
      {.name = "profile, DELETE",
       .method = "DELETE",
       .target = "/social/profiles/alice",
       .status = 405,
       .fields = {{"allow", "GET, HEAD, OPTIONS"}}},
      {.name = "send, GET", .target = "/social/send/alice", .status = 405, .fields = {{"allow", "OPTIONS, POST"}}},
      {.name = "unknown status",
       .target = "/containers?status=bogus",
       .status = 400,
       .error = "\"status\" has to be provisioning, running, stopped, sleeping, failed or deleting"},
      {.name = "empty status",
       .target = "/containers?status=",
       .status = 400,
       .error = "\"status\" is empty; leave it out to list every instance"},
      {.name = "status in upper case", .target = "/containers?status=Running", .status = 400},
      {.name = "bad escape in the query",
       .target = "/containers?status=%zz",
       .status = 400,
       .error = "the query holds a bad percent escape or a control byte"},
      {.name = "nobody fails", .target = "/containers?status=failed", .answer = "[]"},
      {.name = "no trailing slash", .target = "/containers/", .status = 404},
      {.name = "no such operation", .method = "POST", .target = "/containers/alice/pause", .status = 404},
      {.name = "the data plane is not the API's", .target = "/proxy/alice/", .status = 404},
  };
  checkAll(rows, daemon.adminSocket());
}

TEST_CASE("an instance's life") {
  Platform &platform = shared();
  DaemonProcess &daemon = platform.daemon();
  const std::string alice = platform.handle("alice");
  const std::string bob = platform.handle("bob");
  const std::string at = "/containers/" + alice;
  const std::string again = R"({"ok":true})";
  const auto api = [&](const Row &row) {
    const Response response = request(daemon.adminSocket(), row.method, row.target, row.headers, row.body);
    check(row, response);
    return response.body;
  };
  const auto instanceKeys = [](std::vector<std::string> more = {}) {
    std::vector<std::string> keys = kInstance;
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  };

  const std::string made = api({.name = "provision",
                                .method = "POST",
                                .target = "/containers/provision",
                                .body = provisionBody(alice, "user_" + alice),
                                .status = 201,
                                .keys = kInstance});
  REQUIRE(member(made, "handle") == alice);
  CHECK(member(made, "status") == "running");
  CHECK(member(made, "clerkUserId") == "user_" + alice);
  CHECK(containerExists(alice));
  const std::string id = member(made, "id");
  const std::string container = member(made, "containerId");

  const std::string same = api({.name = "the same pair",
                                .method = "POST",
                                .target = "/containers/provision",
                                .body = provisionBody(alice, "user_" + alice),
                                .status = 200,
                                .keys = kInstance});
  CHECK(member(same, "containerId") == container);
  CHECK(member(same, "port") == member(made, "port"));
  api({.name = "handle taken",
       .method = "POST",
       .target = "/containers/provision",
       .body = provisionBody(alice, "user_other"),
       .status = 409,
       .error = "the handle \"" + alice + "\" is taken"});
  api({.name = "user taken",
       .method = "POST",
       .target = "/containers/provision",
       .body = provisionBody(bob, "user_" + alice),
       .status = 409,
       .error = "the user already has the instance \"" + alice + "\""});
  CHECK_FALSE(containerExists(bob));

  CHECK(member(api({.name = "get", .target = at, .keys = kInstance}), "id") == id);
  api({.name = "list", .target = "/containers", .keys = kInstance});
  api({.name = "list running", .target = "/containers?status=running", .keys = kInstance});
  api({.name = "list stopped", .target = "/containers?status=stopped", .answer = "[]"});
  api({.name = "users",
       .target = "/social/users",
       .answer = R"([{"handle":")" + alice + R"(","status":"running","online":true}])"});
  REQUIRE(eventually([&] { return daemon.api("GET", "/social/profiles/" + alice).status == 200; }));
  api({.name = "profile", .target = "/social/profiles/" + alice, .keys = {"handle", "displayName", "bio"}});
  api({.name = "AI profile", .target = "/social/profiles/" + alice + "/ai", .keys = {"handle", "name", "skills"}});
  api({.name = "send",
       .method = "POST",
       .target = "/social/send/" + alice,
       .body = messageBody("hi", R"({"handle":"bob","displayName":"Bob"})"),
       .keys = {"ok", "id"}});

  for (const char *name : {"stop", "stop again"}) {
    const std::string stopped =
        api({.name = name, .method = "POST", .target = at + "/stop", .keys = instanceKeys({"ok"})});
    CHECK(member(stopped, "ok") == "true");
    CHECK(member(stopped, "status") == "stopped");
  }
  api({.name = "list stopped, one", .target = "/containers?status=stopped", .keys = kInstance});
  api({.name = "list running, none", .target = "/containers?status=running", .answer = "[]"});
  api({.name = "users, offline",
       .target = "/social/users",
       .answer = R"([{"handle":")" + alice + R"(","status":"stopped","online":false}])"});
  const std::string asleep = "the instance of \"" + alice + "\" is not running (stopped)";
  api({.name = "social never wakes: profile", .target = "/social/profiles/" + alice, .status = 503, .error = asleep});
  api({.name = "social never wakes: AI",
       .target = "/social/profiles/" + alice + "/ai",
       .status = 503,
       .error = asleep});
  api({.name = "social never wakes: send",
       .method = "POST",
       .target = "/social/send/" + alice,
       .body = messageBody("hi", R"({"handle":"bob"})"),
       .status = 503,
       .error = asleep});
  CHECK(member(api({.name = "still asleep", .target = at}), "status") == "stopped");
  for (const char *name : {"start", "start again"}) {
    const std::string started =
        api({.name = name, .method = "POST", .target = at + "/start", .keys = instanceKeys({"ok"})});
    CHECK(member(started, "ok") == "true");
    CHECK(member(started, "status") == "running");
    CHECK(member(started, "id") == id);
  }

  api({.name = "destroy", .method = "DELETE", .target = at, .answer = again});
  CHECK_FALSE(containerExists(alice));
  CHECK(std::filesystem::exists(daemon.usersDir() / ".trash" / id));
  CHECK_FALSE(std::filesystem::exists(daemon.usersDir() / alice));
  api({.name = "destroy again", .method = "DELETE", .target = at, .status = 404});
  api({.name = "gone", .target = at, .status = 404, .error = "there is no instance \"" + alice + "\""});
  api({.name = "empty again", .target = "/containers", .answer = "[]"});
  api({.name = "a former handle stays its owner's",
       .method = "POST",
       .target = "/containers/provision",
       .body = provisionBody(alice, "user_other"),
       .status = 409});
  expectNothingLeft(platform, alice, "");
}

TEST_CASE("messages") {
  Platform &platform = shared();
  const std::string carol = platform.handle("carol");
  platform.provision(carol, "user_" + carol);
  REQUIRE(eventually([&] { return platform.daemon().api("GET", "/social/profiles/" + carol).status == 200; }));
  const std::string from = R"({"handle":"bob"})";
  const auto row = [&](const char *name, const std::string &body, const char *error) {
    return Row{.name = name,
               .method = "POST",
               .target = "/social/send/" + carol,
               .body = body,
               .status = *error == '\0' ? 200 : 400,
               .error = error};
  };
  std::vector<Row> rows{
      row("no body", "", "malformed JSON: unexpected end of text"),
      row("an array", "[]", "the JSON document has to be an object, like {\"key\": …}"),
      row("no text", R"({"from":{"handle":"bob"}})", "\"text\" is missing; it has to be a string"),
      row("text a number", R"({"text":5,"from":{"handle":"bob"}})", "\"text\" has to be a string"),
      row("text empty", messageBody("", from), "\"text\" has to have 1 to 16384 bytes"),
      row("text at its limit", messageBody(std::string(16384, 'x'), from), ""),
      row("text over its limit", messageBody(std::string(16385, 'x'), from), "\"text\" has to have 1 to 16384 bytes"),
      row("no sender", R"({"text":"hi"})", "\"from\" is missing; it has to be an object like {\"handle\": …}"),
      row("sender a string", messageBody("hi", "\"bob\""), "\"from\" has to be an object"),
      row("sender without a handle", messageBody("hi", "{}"), "\"from.handle\" is missing; it has to be a string"),
      row("sender's handle bad", messageBody("hi", R"({"handle":"B!"})"), "\"from.handle\" is no handle"),
      row("name a number", messageBody("hi", R"({"handle":"bob","displayName":5})"),
          "\"from.displayName\" has to be a string"),
      row("name at its limit", messageBody("hi", R"({"handle":"bob","displayName":")" + std::string(128, 'n') + "\"}"),
          ""),
      row("name over its limit",
          messageBody("hi", R"({"handle":"bob","displayName":")" + std::string(129, 'n') + "\"}"),
          "\"from.displayName\" may have at most 128 characters"),
      row("more than is asked for", R"({"text":"hi","from":{"handle":"bob","admin":true},"admin":true})", ""),
  };
  rows.push_back({.name = "too large",
                  .method = "POST",
                  .target = "/social/send/" + carol,
                  .body = std::string(106497, ' '),
                  .status = 413,
                  .error = "the body is larger than the 106496 bytes that this route takes"});
  checkAll(rows, platform.daemon().adminSocket());

  const std::string kept = platform.daemon().web(carol + ".localhost", "/api/messages").body;
  CHECK(kept.find("admin") == std::string::npos);
  CHECK(platform.daemon().api("DELETE", "/containers/" + carol).status == 200);
}

TEST_CASE("lastActive follows requests") {
  Platform &platform = shared();
  const std::string dora = platform.handle("dora");
  platform.provision(dora, "user_" + dora);
  const auto lastActive = [&] {
    return member(platform.daemon().api("GET", "/containers/" + dora).body, "lastActive");
  };
  const std::string before = lastActive();
  CHECK(platform.daemon().web(dora + ".localhost", "/health").status == 200);
  CHECK(eventually([&] { return lastActive() > before; }));
  CHECK(platform.daemon().api("DELETE", "/containers/" + dora).status == 200);
}

TEST_CASE("a provision that the engine refuses is undone, and the next one gets the same ports") {
  const std::string network = uniqueHandle("matrixos-test-");
  Platform platform(Values{{"orchestrator.network", network},
                           {"orchestrator.image", "matrixos-missing:none"},
                           {"orchestrator.pull_policy", "never"}});
  DaemonProcess &daemon = platform.daemon();
  const std::string erin = platform.handle("erin");
  const Row refused{.name = "no image",
                    .method = "POST",
                    .target = "/containers/provision",
                    .body = provisionBody(erin, "user_erin"),
                    .status = 503};
  checkAll({refused, refused}, daemon.adminSocket());
  checkAll({{.name = "no instance", .target = "/containers/" + erin, .status = 404},
            {.name = "none at all", .target = "/containers", .answer = "[]"},
            {.name = "no user", .target = "/social/users", .answer = "[]"}},
           daemon.adminSocket());
  expectNothingLeft(platform, erin, network);

  daemon.rewriteConfig({{"orchestrator.image", "matrixos-demo:latest"}});
  const Response reloaded = daemon.api("POST", "/reload");
  CHECK(reloaded.status == 200);
  CHECK(reloaded.body.find("orchestrator") != std::string::npos);
  checkAll({{.name = "same handle, right image",
             .method = "POST",
             .target = "/containers/provision",
             .body = provisionBody(erin, "user_erin"),
             .status = 201,
             .keys = kInstance},
            {.name = "destroy", .method = "DELETE", .target = "/containers/" + erin, .answer = R"({"ok":true})"}},
           daemon.adminSocket());
  expectNothingLeft(platform, erin, "");
  run({"docker", "network", "rm", network});
}

TEST_CASE("reload applies what can change, names what needs a restart, and keeps the old on a mistake") {
  Platform platform;
  DaemonProcess &daemon = platform.daemon();
  daemon.rewriteConfig({{"lifecycle.idle_timeout", "45m"}, {"api.threads", "65"}});
  const Response changed = daemon.api("POST", "/reload");
  check({.name = "two changes", .target = "/reload", .keys = {"applied", "needsRestart", "refused"}}, changed);
  const auto report = parseObject(changed.body);
  const auto applied = json::findArray(*report, "applied");
  const auto restart = json::findArray(*report, "needsRestart");
  REQUIRE(applied->size() == 1);
  REQUIRE(restart->size() == 1);
  CHECK(applied->getElement<std::string>(0).find("[lifecycle] idle_timeout") == 0);
  CHECK(restart->getElement<std::string>(0).find("[api] threads") == 0);
  CHECK(daemon.api("GET", "/config").body.find("idle_timeout = 45m") != std::string::npos);

  daemon.rewriteConfig({{"lifecycle.idle_timeout", "soon"}});
  const Response broken = daemon.api("POST", "/reload");
  check({.name = "a mistake", .target = "/reload", .status = 400}, broken);
  CHECK(broken.body.find("idle_timeout") != std::string::npos);
  CHECK(daemon.api("GET", "/config").body.find("idle_timeout = 45m") != std::string::npos);
}
