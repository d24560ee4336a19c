// Who signs in for the first time, on the simulated engine, and what the audit log tells of it.
#include "Home.h"
#include "integration/runtime-simulated/SimulatedPlatform.h"
#include "support/Text.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

using namespace matrixos;
using namespace matrixos::test;

namespace {

DaemonProcess::Values values(DaemonProcess::Values more = {}) {
  more.merge(DaemonProcess::Values{
      {"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, social, proxy, signup, identity, audit"},
      {"api.auth", "secret"},
      {"identity.mode", "none"},
      {"identity.operators", "oscar"},
      {"identity.allow_sign_up", "true"}});
  return more;
}

Browser signIn(const DaemonProcess &daemon, const std::string &name) {
  Browser browser(daemon.proxyPort());
  browser.signInAs(name, browser.url("console", "/auth/login?return=/auth"));
  return browser;
}

bool owns(Browser &browser, const std::string &handle) {
  return browser.fetch("GET", "console", "/auth/me", "console")
             .body.find(R"({"handle":")" + handle + R"(","role":"owner"})") != std::string::npos;
}

/// Records of one action, the newest first, as JSON.
std::vector<std::string> told(const DaemonProcess &daemon, const std::string &action) {
  std::vector<std::string> out;
  const auto answer = json::parseObject(daemon.api("GET", "/audit?limit=1000&action=" + action).body);
  const auto records = json::findArray(*answer, "records");
  for (unsigned i = 0; records && i < records->size(); ++i)
    out.push_back(json::dump(*records->getObject(i)));
  return out;
}

void sql(const DaemonProcess &daemon, const char *text) {
  sqlite3 *db = nullptr;
  REQUIRE(sqlite3_open((daemon.dir() / "data/matrixos.db").c_str(), &db) == SQLITE_OK);
  sqlite3_busy_timeout(db, 30'000);
  CHECK(sqlite3_exec(db, text, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

} // namespace

TEST_CASE("the first sign-in of somebody new gets an instance of their own, and matrixosctl shows it to them alone") {
  SimulatedPlatform platform(values());
  Browser ada = signIn(platform.daemon, "ada"), eve = signIn(platform.daemon, "eve");
  CHECK(eventually([&] { return owns(ada, "ada") && owns(eve, "eve"); }));
  CHECK(ada.open(ada.url("console", "/auth")).body.find(">ada</a>") != std::string::npos);
  signIn(platform.daemon, "ada"); // once more gives no other
  const Home home(platform.daemon);
  const Finished in = home.login([&](const std::string &page) { letIn(ada, page); });
  CHECK_MESSAGE(in.status == 0, in.out);
  const Finished own = home.ctl({"containers", "list", "--quiet", "--url", home.url()});
  CHECK_MESSAGE(own.out == "ada\n", own.out);
  const std::string all = home.ctl({"containers", "list", "--quiet"}).out; // an operator's way
  checkHas(all, "ada\n");
  checkHas(all, "eve\n");
  CHECK(platform.daemon.ctl({"signups", "list", "--quiet"}).status == 0);
}

TEST_CASE("without allow_sign_up whoever is new gets in all the same, and reads that there is nothing") {
  SimulatedPlatform platform(values({{"identity.allow_sign_up", "false"}}));
  Browser ada = signIn(platform.daemon, "ada");
  checkHas(ada.open(ada.url("console", "/auth")).body, "You have no instance, and nobody shares one with you.");
  CHECK(platform.daemon.api("GET", "/signups").body == "[]");
  platform.daemon.rewriteConfig({{"identity.allow_sign_up", "true"}});
  CHECK(platform.daemon.api("POST", "/reload").status == 200);
  checkHas(ada.open(ada.url("console", "/auth")).body, "Your instance is on its way.");
  CHECK(eventually([&] { return owns(ada, "ada"); }));
}

TEST_CASE(
    "whose instance was taken away reads that nothing comes of waiting, and whose could not be made that it may") {
  SimulatedPlatform platform(values({{"signup.reconcile_interval", "1s"}}));
  Browser ada = signIn(platform.daemon, "ada");
  const auto signups = [&] { return platform.daemon.api("GET", "/signups").body; };
  CHECK(eventually([&] { return signups().find(R"("state":"done")") != std::string::npos; }));
  CHECK(platform.daemon.api("DELETE", "/containers/ada").status == 200);
  CHECK(eventually([&] {
    return ada.open(ada.url("console", "/auth")).body.find("Ask the operator of this platform") != std::string::npos;
  }));
  platform.daemon.stop();
  sql(platform.daemon, "UPDATE signup_users SET next_try_at = strftime('%s', 'now') * 1000 + 600000");
  platform.daemon.start();
  checkHas(ada.open(ada.url("console", "/auth")).body, "It is tried again");
}

TEST_CASE("sign-ups that nobody takes keep nobody out, and are made up for") {
  SimulatedPlatform platform(values());
  CHECK(platform.daemon.api("POST", "/plugins/signup/disable").status == 200);
  Browser ada = signIn(platform.daemon, "ada");
  checkHas(ada.open(ada.url("console", "/auth")).body, "You have no instance");
  checkHas(platform.daemon.log(), "somebody new was not signed up");
  CHECK(platform.daemon.api("POST", "/plugins/signup/enable").status == 200);
  ada.open(ada.url("console", "/auth"));
  CHECK(eventually([&] { return owns(ada, "ada"); }));
}

TEST_CASE("sign-ins, refused ones, programs and sign-outs are in the audit log, and so is the instance") {
  SimulatedPlatform platform(values());
  Browser ada = signIn(platform.daemon, "ada"), oscar = signIn(platform.daemon, "oscar");
  CHECK(ada.open(ada.url("console", "/auth/callback?state=x&name=ada"), 0).status == 401);
  const auto ins = told(platform.daemon, "sign-in"); // what was shown is there
  REQUIRE(ins.size() == 3);
  checkHas(ins[0], R"("reason":"SIGN_IN")");
  checkHas(ins[0], "another browser's");
  CHECK(ins[0].find("principal") == std::string::npos);
  checkHas(ins[1], R"("principal":"user:oscar")");
  checkHas(ins[1], R"("kind":"operator")");
  checkHas(ins[2], R"("principal":"user:ada")");
  checkHas(ins[2], R"("kind":"user")");
  checkHas(ins[2], R"("address":"127.0.0.1")");
  checkHas(ins[2], R"("way":"none")");
  checkHas(ins[2], R"("source":"identity")");
  const Home home(platform.daemon);
  CHECK(home.login([&](const std::string &page) { letIn(ada, page); }).status == 0);
  const auto programs = told(platform.daemon, "sign-in");
  REQUIRE(programs.size() == 4);
  checkHas(programs[0], R"("way":"program")");
  checkHas(told(platform.daemon, "POST%20//console/auth/device/approve").at(0), R"("principal":"user:ada")");
  CHECK(home.login([&](const std::string &page) { letIn(ada, page, "&decision=deny"); }).status != 0);
  for (const char *answer : {"program%20let%20in", "program%20refused"}) {
    const auto answers = told(platform.daemon, answer);
    REQUIRE(answers.size() == 1);
    checkHas(answers[0], R"("principal":"user:ada")");
    checkHas(answers[0], R"("target":{"address":"127.0.0.1","client":"matrixosctl"})");
  }
  CHECK(ada.fetch("POST", "console", "/auth/logout", "console").status == 200);
  CHECK(eventually([&] { return told(platform.daemon, "sign-out").size() == 1; }));
  checkHas(told(platform.daemon, "sign-out")[0], R"("principal":"user:ada")");
  CHECK(eventually([&] { return told(platform.daemon, "instance%20provisioned").size() == 2; }));
  checkHas(told(platform.daemon, "instance%20provisioned")[0], R"("source":"signup")");
  // Each of them once, and not how often a program asks.
  CHECK(told(platform.daemon, "POST%20/auth/device*").empty());
  CHECK(told(platform.daemon, "POST%20//console/auth/logout").empty());
  CHECK(platform.daemon.ctl({"audit", "verify"}).status == 0);
}

TEST_CASE("who signs in or out while sessions cannot be taken off the disk has done so, and is told of like that") {
  SimulatedPlatform platform(values());
  Browser ada = signIn(platform.daemon, "ada");
  sql(platform.daemon, "CREATE TRIGGER full BEFORE DELETE ON identity_sessions BEGIN SELECT RAISE(ABORT, 'full'); END");
  // A sign-in that another tab began before, and that takes the place of this one.
  Browser other(platform.daemon.proxyPort());
  other.open(other.url("console", "/auth/login?return=/auth"));
  const std::string state = parameterOf(other.visited.back(), "state");
  const std::string first = ada.cookie("console", "matrixos");
  other.setCookie("console", "matrixos", first);
  CHECK(other.open(other.url("console", "/auth/callback?name=ada&state=" + state)).status == 200);
  CHECK(other.cookie("console", "matrixos") != first);
  CHECK(ada.fetch("GET", "console", "/auth/me", "console").status == 401);
  CHECK(other.fetch("GET", "console", "/auth/me", "console").status == 200);
  const auto ins = told(platform.daemon, "sign-in");
  REQUIRE(ins.size() == 2);
  for (const std::string &in : ins)
    CHECK_MESSAGE(in.find(R"("reason")") == std::string::npos, in);
  CHECK(other.fetch("POST", "console", "/auth/logout", "console").status == 200);
  CHECK(other.cookie("console", "matrixos").empty());
  CHECK(eventually([&] { return told(platform.daemon, "sign-out").size() == 1; }));
  checkHas(platform.daemon.log(), "may come back with a restart");
  sql(platform.daemon, "DROP TRIGGER full");
}
