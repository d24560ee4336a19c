// Who may do what: permissions.md against the daemon with every bundled plugin, each route as each identity.
#include "contract/PermissionTable.h"
#include "integration/identity/Browser.h"
#include "support/DaemonProcess.h"
#include "support/Wait.h"
#include "unit/signup/Signed.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;
namespace fs = std::filesystem;

namespace {

constexpr const char *kEnabled =
    "runtime-simulated, runtime-process, orchestrator, lifecycle, social, proxy, identity, signup, audit, "
    "ai-gateway";
/// Another runtime, which has no routes.
const std::set<std::string> kLeftOut{"runtime-docker"};

/// All that there are, but "*" (identity.md).
constexpr std::array kScopes{"audit:read",    "instances:proxy", "instances:read", "instances:write",
                             "platform:read", "platform:write",  "tokens:write",   "usage:read",
                             "usage:write",   "users:read",      "users:write"};

struct Route {
  std::string method, pattern;
  std::string name() const { return method + " " + pattern; }
};

/// A request as any of them may send it. `page`: of the console's host, below which /api is the API.
struct Question {
  std::string method, target, body;
  bool isPage = false;
};

/// Alice is ada's instance; uma may use and mia manage it. Bobby is bob's. Nora has nothing.
class House {
public:
  House() : daemon_(values()) {
    const fs::path folder = daemon_.dir() / "plugins";
    fs::create_directory(folder);
    for (const auto &file : fs::directory_iterator(buildDir() / "plugins"))
      if (file.path().extension() == ".so") fs::copy_file(file, folder / file.path().filename());
    writeSecret("clerk", kWebhookSecret);
    writeSecret("inngest", "signkey-test-abcdef");
    daemon_.rewriteConfig({{"plugins.path", folder.string()},
                           {"signup.secret_file", (secrets_ / "clerk").string()},
                           {"signup.inngest_key_file", (secrets_ / "inngest").string()},
                           {"runtime-simulated.state_dir", (daemon_.dir() / "engine").string()}});
    daemon_.start();
    furnish();
    const std::string secret = readFile(daemon_.dir() / "data/admin.secret");
    secret_ = secret.substr(0, secret.find_last_not_of('\n') + 1);
    for (const char *scope : kScopes)
      tokens_[scope] = tokenWith(scope);
    tokens_["*"] = tokenWith("*");
    for (const char *user : {"nora", "uma", "mia", "ada"})
      signIn(user);
  }

  const DaemonProcess &daemon() const { return daemon_; }

  /// Alice with whom she is shared with, where she is not there any more.
  void furnish() {
    const auto post = [&](const std::string &target, const std::string &body) {
      const Response response = daemon_.api("POST", target, body);
      REQUIRE_MESSAGE(response.status < 300, response.body);
    };
    if (daemon_.api("GET", "/containers/alice").status == 200) return;
    post("/containers/provision", R"({"handle":"alice","clerkUserId":"ada"})");
    post("/containers/provision", R"({"handle":"bobby","clerkUserId":"bob"})");
    post("/containers/alice/shares", R"({"user":"uma","role":"use"})");
    post("/containers/alice/shares", R"({"user":"mia","role":"manage"})");
  }
  void signIn(const std::string &user) {
    Browser &browser = browsers_.insert_or_assign(user, Browser(daemon_.proxyPort())).first->second;
    browser.signInAs(user, browser.url("console", "/auth/login?return=/auth"));
  }

  /// Pages are opened in a tab; all else is asked for by one of the console's.
  Response asUser(const std::string &user, const Question &question) {
    Browser &browser = browsers_.at(user);
    if (question.isPage && question.method == "GET") return browser.open(browser.url("console", question.target), 0);
    return browser.fetch(question.method, "console", (question.isPage ? "" : "/api") + question.target, "console",
                         {{"X-Matrixos", "1"}}, question.body);
  }
  /// "" for none.
  Response withToken(const std::string &token, const Question &question) const {
    Headers headers{{"Host", question.isPage ? "console.localhost" : "localhost"}};
    if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
    return request(daemon_.apiSocket(), question.method, question.target, headers, question.body);
  }
  Response onAdminSocket(const Question &question) const {
    const Headers headers{{"Host", question.isPage ? "console.localhost" : "localhost"}};
    return request(daemon_.adminSocket(), question.method, question.target, headers, question.body);
  }
  const std::string &secret() const { return secret_; }
  /// Alice's own, which she keeps in her home.
  std::string tokenOfAlice() const {
    std::string token;
    REQUIRE(eventually([&] {
      token = readFile(daemon_.usersDir() / "alice/matrixos/token");
      return token.size() == 47;
    }));
    return token;
  }
  const std::string &token(const std::string &scope) const { return tokens_.at(scope); }

private:
  static DaemonProcess::Values values() {
    const int port = freePort();
    DaemonProcess::Values values{
        {"plugins.enabled", kEnabled},
        {"plugins.required", "proxy, identity"},
        {"api.auth", "secret"},
        {"identity.mode", "none"},
        {"ai-gateway.listen", "127.0.0.1:0"},
        {"orchestrator.runtime", "process"},
        {"orchestrator.gateway_base_port", std::to_string(port)},
        {"orchestrator.shell_base_port", std::to_string(port + 60)},
        {"orchestrator.ports_per_range", "50"},
        {"runtime-process.sandbox", "none"},
        {"runtime-process.cgroups", "none"},
        {"runtime-process.command", R"(printf %s "$MATRIX_TOKEN" >"$HOME/token"; exec sleep 1h)"},
        {"runtime-simulated.clock", "virtual"},
        {"runtime-simulated.control", "true"}};
    for (const char *limit : {"address", "principal", "writes", "sign_in", "webhooks"})
      values["api.limit_" + std::string(limit)] = "0";
    return values;
  }
  void writeSecret(const char *name, const std::string &text) const {
    writeFile(secrets_ / name, text + "\n");
    fs::permissions(secrets_ / name, fs::perms::owner_read | fs::perms::owner_write);
  }
  std::string tokenWith(const std::string &scope) const {
    const Response made = daemon_.api("POST", "/tokens", R"({"name":"test","ttl":"1h","scopes":[")" + scope + "\"]}");
    REQUIRE_MESSAGE(made.status == 201, made.body);
    return member(made.body, "token");
  }

  const TempDir secrets_;
  DaemonProcess daemon_;
  std::string secret_;
  std::map<std::string, std::string> tokens_;
  std::map<std::string, Browser> browsers_;
};

House &house() {
  static House house;
  return house;
}

const std::map<std::string, PermissionRow> &table() {
  static const auto rows = readPermissions(PERMISSIONS);
  return rows;
}

/// As the daemon lists them.
std::vector<Route> routes() {
  const auto list = json::parse(house().daemon().api("GET", "/routes").body).extract<json::Array::Ptr>();
  std::vector<Route> found;
  for (unsigned i = 0; i < list->size(); ++i) {
    const auto route = list->getObject(i);
    found.push_back({json::getString(*route, "method"), json::getString(*route, "path")});
  }
  return found;
}

/// One that harms nobody: about alice, else about things that are not there, with a body that says nothing.
Question questionOf(const Route &route) {
  const std::string page = "//console";
  Question question{route.method, route.pattern, route.method == "POST" || route.method == "PUT" ? "{}" : "", false};
  if (route.pattern.find(page + "/") == 0) {
    question.isPage = true;
    question.target.erase(0, page.size());
  }
  for (std::size_t at = question.target.find(':'); at != std::string::npos; at = question.target.find(':', at)) {
    const std::size_t end = std::min(question.target.find('/', at), question.target.size());
    question.target.replace(at, end - at, question.target.substr(at, end - at) == ":handle" ? "alice" : "nobody");
  }
  return question;
}

/// What a route let somebody do, in a word of the table.
std::string wordOf(const Response &response) {
  CAPTURE(response.body);
  CHECK(response.status != 0);
  CHECK(response.status != 429);
  CHECK(response.status != 500);
  const bool refused = response.status == 401 || response.status == 403;
  return refused ? std::to_string(response.status) : "yes";
}

/// The scopes of those that get the same as "*" in one cell; or the word that all of them get, be it that or another.
std::string scopesOf(const std::map<std::string, std::string> &words, const std::string &all) {
  std::set<std::string> kinds;
  std::string scopes;
  for (const auto &[scope, word] : words) {
    kinds.insert(word);
    if (word != all)
      CHECK_MESSAGE(word == "403", scope);
    else
      scopes += (scopes.empty() ? "" : ", ") + scope;
  }
  if (kinds.size() == 1) return *kinds.begin() == "403" ? "none" : *kinds.begin();
  return scopes;
}

/// Asks as each identity, in the order of the columns. `before`: each time; `word`: of an answer.
PermissionRow askAll(const Route &route, const Question &question, const std::function<void(const char *user)> &before,
                     const std::function<std::string(const Response &)> &word) {
  House &at = house();
  PermissionRow row{route.method, route.pattern, {}};
  const auto add = [&](const char *user, auto &&ask) {
    before(user);
    row.cells.push_back(word(ask()));
  };
  add("", [&] { return at.withToken("", question); });
  for (const char *user : {"nora", "uma", "mia", "ada"})
    add(user, [&] { return at.asUser(user, question); });
  add("", [&] { return at.withToken(at.tokenOfAlice(), question); });
  add("", [&] { return at.withToken(at.secret(), question); });
  add("", [&] { return at.onAdminSocket(question); });
  add("", [&] { return at.withToken(at.token("*"), question); });
  std::map<std::string, std::string> words;
  for (const char *scope : kScopes) {
    before("");
    words[scope] = word(at.withToken(at.token(scope), question));
  }
  row.cells.push_back(scopesOf(words, row.cells.back()));
  return row;
}

void compare(const PermissionRow &row) {
  const auto wanted = table().find(row.name());
  const std::string text = wanted == table().end() ? "no row" : wanted->second.text();
  CHECK(row.text() == text);
}

/// The texts of that member of what a list shows, in order; or the word of a refusal.
std::string shownIn(const Response &response, const std::string &list, const std::string &name) {
  if (response.status >= 400) return wordOf(response);
  const json::Value root = json::parse(response.body);
  const json::Array::Ptr items =
      list.empty() ? root.extract<json::Array::Ptr>() : json::findArray(*root.extract<json::Object::Ptr>(), list);
  std::set<std::string> shown;
  for (unsigned i = 0; i < items->size(); ++i)
    shown.insert(json::getString(*items->getObject(i), name));
  std::string text;
  for (const std::string &one : shown)
    text += (text.empty() ? "" : ", ") + one;
  return text.empty() ? "nothing" : text;
}

} // namespace

TEST_CASE("every bundled plugin is asked") {
  for (const auto &file : fs::directory_iterator(buildDir() / "plugins")) {
    const std::string id = file.path().stem().string();
    if (file.path().extension() != ".so" || kLeftOut.count(id) != 0) continue;
    CHECK_MESSAGE((std::string(kEnabled) + ",").find(id + ",") != std::string::npos, id);
  }
}

TEST_CASE("the table has every route, and no other") {
  std::set<std::string> all;
  for (const Route &route : routes()) {
    CHECK_MESSAGE(table().count(route.name()) == 1, "a new route needs a row in permissions.md: " << route.name());
    all.insert(route.name());
  }
  for (const auto &[name, row] : table()) {
    const bool aside = name.find(" → ") != std::string::npos;
    CHECK_MESSAGE((aside || all.count(name) == 1), "there is no such route any more: " << name);
  }
}

TEST_CASE("each route does for each identity what the table says") {
  std::size_t asked = 0;
  for (const Route &route : routes()) {
    const bool endsSession =
        route.pattern.find("/auth/logout") != std::string::npos || route.name() == "DELETE /auth/sessions";
    const auto before = [&](const char *user) {
      ++asked;
      if (route.method == "DELETE" && route.pattern == "/containers/:handle") house().furnish();
      if (endsSession && *user != '\0') house().signIn(user);
    };
    compare(askAll(route, questionOf(route), before, wordOf));
    if (endsSession)
      for (const char *user : {"nora", "uma", "mia", "ada"})
        house().signIn(user);
  }
  MESSAGE(routes().size() << " routes, " << asked << " answers");
}

TEST_CASE("lists show what who asks may see, and nobody acts in another's name") {
  house().furnish();
  const auto nothing = [](const char *) {};
  const auto list = [&](const char *path, bool isPage, const char *in, const char *name) {
    const Route route{"GET", std::string(isPage ? "//console" : "") + path + " → " + name};
    compare(askAll(route, {"GET", path, "", isPage}, nothing,
                   [&](const Response &response) { return shownIn(response, in, name); }));
  };
  list("/containers", false, "", "handle");
  list("/social/users", false, "", "handle");
  list("/containers/alice/shares", false, "", "user");
  list("/auth/me", true, "instances", "handle");
  // An instance is told about itself, without a list around it.
  compare(askAll({"GET", "/ai/usage/me → userId"}, {"GET", "/ai/usage/me"}, nothing, [](const Response &response) {
    const bool isOne = response.body.find("\"instances\"") == std::string::npos;
    return response.status < 400 && isOne ? member(response.body, "userId") : shownIn(response, "instances", "userId");
  }));
  for (const char *from : {"alice", "bobby"}) {
    const Question question{"POST", "/social/send/bobby",
                            R"({"text":"hi","from":{"handle":")" + std::string(from) + "\"}}"};
    compare(askAll({"POST", std::string("/social/send/bobby → from ") + from}, question, nothing, wordOf));
  }
}
