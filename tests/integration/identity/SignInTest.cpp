// Signing in and out, on the console's host.
#include "Browser.h"
#include "Platform.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace matrixos::test;

TEST_CASE("who is signed in, with what is his") {
  Browser ada = signedIn("ada");
  CHECK(ada.visited.back() == ada.url("console", "/auth"));
  const Response me = ada.fetch("GET", "console", "/auth/me", "console");
  CHECK(me.status == 200);
  CHECK(me.headers.at("cache-control") == "no-store");
  CHECK(
      me.body.find(
          R"("user":{"id":"ada","email":"ada@localhost","name":"ada"},"roles":["user"],)"
          R"("instances":[{"handle":"alice","role":"owner"},{"handle":"sleepy","role":"owner"}],"session":{"id":")") !=
      std::string::npos);
  CHECK(signedIn("oscar").fetch("GET", "console", "/auth/me", "console").body.find(R"("roles":["user","operator"])") !=
        std::string::npos);
  const Response page = ada.open(ada.url("console", "/auth"));
  CHECK(page.body.find(ada.url("alice", "/")) != std::string::npos);
  CHECK(page.headers.at("content-security-policy").find("default-src 'none'") == 0);
  CHECK(page.body.find("<script") == std::string::npos);
  CHECK(page.headers.at("referrer-policy") == "same-origin"); // with less, browsers say "Origin: null" of its form
}

TEST_CASE("signing out in one tab ends everything, on all hosts") {
  Browser ada = signedIn("ada");
  CHECK(ada.open(ada.url("alice", "/")).body == "an instance");
  Browser stolen = ada;                                                       // its cookies, as somebody kept them
  CHECK(ada.fetch("POST", "console", "/auth/logout", "alice").status == 403); // a tenant's page
  CHECK(ada.fetch("GET", "alice", "/", "alice").status == 200);
  CHECK(ada.fetch("POST", "console", "/auth/logout", "console").status == 200);
  CHECK(ada.fetch("GET", "alice", "/", "alice").status == 401);
  CHECK(stolen.fetch("GET", "alice", "/", "alice").status == 401);
  CHECK(stolen.fetch("GET", "console", "/auth/me", "console").status == 401);
}

TEST_CASE("a new sign-in gets a new session, and leaves none behind") {
  Browser browser = signedIn("ada");
  const std::string first = browser.cookie("console", "matrixos");
  Browser before = browser;
  const Response login = browser.open(browser.url("console", "/auth/login?return=/auth"), 1);
  CHECK(login.status == 200); // signed in already
  // A sign-in that another tab began before, and that ends now.
  Browser second = newBrowser();
  second.setCookie("console", "matrixos", first);
  second.jar[second.host("console")].erase("matrixos");
  second.open(second.url("console", "/auth/login?return=/auth"));
  const std::string state = parameterOf(second.visited.back(), "state");
  second.setCookie("console", "matrixos", first);
  CHECK(second.open(second.url("console", "/auth/callback?name=eve&state=" + state)).status == 200);
  CHECK(second.cookie("console", "matrixos") != first);
  CHECK(before.fetch("GET", "console", "/auth/me", "console").status == 401);
}

TEST_CASE("a state is good once, and in the browser that began alone") {
  Browser eve = newBrowser();
  eve.open(eve.url("console", "/auth/login"));
  const std::string state = parameterOf(eve.visited.back(), "state");
  REQUIRE(state.size() == 43);
  const std::string way = "/auth/callback?name=eve&state=" + state;
  Browser victim = newBrowser();
  victim.open(victim.url("console", "/auth/login")); // has a cookie of its own
  CHECK(victim.open(victim.url("console", way)).status == 401);
  CHECK(victim.cookie("console", "matrixos").empty());
  CHECK(eve.open(eve.url("console", way)).status == 401); // used up
  eve.visited.clear();
  eve.open(eve.url("console", "/auth/login?return=/auth"));
  const std::string next = "/auth/callback?name=eve&state=" + parameterOf(eve.visited.back(), "state");
  CHECK(eve.open(eve.url("console", next)).status == 200);
  CHECK(eve.open(eve.url("console", next), 0).status == 401);
  CHECK(victim.open(victim.url("console", "/auth/callback?name=eve")).status == 401);
  for (const char *doubled : {"/auth/callback?name=eve&state=x&state=", "/auth/callback?name=eve&name=ada&state="}) {
    Browser other = newBrowser();
    other.open(other.url("console", "/auth/login?return=/auth"));
    const std::string own = parameterOf(other.visited.back(), "state");
    REQUIRE(own.size() == 43);
    CHECK_MESSAGE(other.open(other.url("console", doubled + own)).status == 401, doubled);
  }
}

TEST_CASE("nobody is led to a host that is none of ours") {
  for (const char *evil :
       {"//evil.test", "/%5cevil.test", "https:%2f%2fevil.test%2f", "http:%2f%2falice.localhost.evil.test%2f",
        "http:%2f%2falice.localhost@evil.test%2f", "%2f%09%2fevil.test", "javascript:alert(1)"}) {
    Browser browser = newBrowser();
    browser.signInAs("ada", browser.url("console", std::string("/auth/login?return=") + evil));
    for (const std::string &url : browser.visited)
      CHECK_MESSAGE(url.find(browser.url("console", "/")) == 0, url);
  }
  Browser ada = signedIn("ada");
  const std::string nonce(43, 'x');
  for (const std::string host :
       {"alice.evil.test", "alice.localhost.evil.test", "alice.localhost@evil.test", "alice.localhost:1", "localhost",
        "console.localhost.", "Alice.localhost", "a.alice.localhost", ""}) {
    const Response page = ada.open(ada.url("console", "/auth/authorize?nonce=" + nonce + "&host=" + host), 0);
    CHECK_MESSAGE(page.status == 400, host);
  }
}

TEST_CASE("signing in takes a tab of its own") {
  Browser ada = signedIn("ada");
  const std::string target = "/auth/authorize?nonce=" + std::string(43, 'x') + "&host=" + ada.host("alice");
  CHECK(ada.fetch("GET", "console", target, "alice").status == 403);
  CHECK(ada.fetch("GET", "console", "/auth/login", "alice").status == 403);
}

TEST_CASE("one's sessions, and ending one of them") {
  Browser first = signedIn("sam"), second = signedIn("sam"), stranger = signedIn("eve");
  const std::string list = first.fetch("GET", "console", "/auth/sessions", "console").body;
  CHECK(std::count(list.begin(), list.end(), '{') == 2);
  const std::string id = parseObject(second.fetch("GET", "console", "/auth/me", "console").body)
                             ->getObject("session")
                             ->getValue<std::string>("id");
  CHECK(list.find(id) != std::string::npos);
  CHECK(stranger.fetch("DELETE", "console", "/auth/sessions/" + id, "console").status == 404);
  CHECK(first.fetch("DELETE", "console", "/auth/sessions/" + id, "alice").status == 403);
  CHECK(first.fetch("DELETE", "console", "/auth/sessions/" + id, "console").status == 200);
  CHECK(second.fetch("GET", "console", "/auth/me", "console").status == 401);
  CHECK(first.fetch("GET", "console", "/auth/me", "console").status == 200);
}

TEST_CASE("the API below the console's host takes the session, and changes need the field of scripts") {
  Browser oscar = signedIn("oscar"), ada = signedIn("ada");
  CHECK(oscar.fetch("GET", "console", "/api/plugins", "console").status == 200);
  CHECK(oscar.fetch("GET", "console", "/api/plugins", "alice").status == 403);
  CHECK(ada.fetch("GET", "console", "/api/plugins", "console").status == 403);
  CHECK(newBrowser().fetch("GET", "console", "/api/plugins", "").status == 401);
  CHECK(oscar.fetch("POST", "console", "/api/reload", "console").status == 403);
  CHECK(oscar.fetch("POST", "console", "/api/reload", "alice", {{"X-Matrixos", "1"}}).status == 403);
  CHECK(oscar.fetch("POST", "console", "/api/reload", "console", {{"X-Matrixos", "1"}}).status == 200);
  // On the API's own host a cookie is nobody's.
  const Headers cookie{{"Host", "localhost"}, {"Cookie", "matrixos=" + oscar.cookie("console", "matrixos")}};
  CHECK(request(shared().daemon.proxyPort(), "GET", "/plugins", cookie).status == 401);
}

TEST_CASE("who is an operator no more is none at once, and sessions survive the daemon") {
  IdentityPlatform platform;
  platform.daemon.start();
  Browser oscar(platform.daemon.proxyPort());
  oscar.signInAs("oscar", oscar.url("console", "/auth/login?return=/auth"));
  CHECK(oscar.open(oscar.url("alice", "/")).body == "an instance");
  CHECK(oscar.fetch("GET", "console", "/api/plugins", "console").status == 200);
  platform.daemon.stop();
  platform.daemon.start();
  CHECK(oscar.fetch("GET", "console", "/api/plugins", "console").status == 200);
  CHECK(oscar.fetch("GET", "alice", "/", "alice").status == 200);
  platform.daemon.rewriteConfig({{"identity.operators", "somebody"}});
  CHECK(platform.daemon.api("POST", "/reload").status == 200);
  CHECK(oscar.fetch("GET", "console", "/api/plugins", "console").status == 403);
  CHECK(oscar.fetch("GET", "alice", "/", "alice").status == 403);
}

TEST_CASE("without the plugin nobody gets in") {
  IdentityPlatform platform(DaemonProcess::Values{{"plugins.required", "proxy"}});
  platform.daemon.start();
  Browser ada(platform.daemon.proxyPort());
  ada.signInAs("ada", ada.url("alice", "/"));
  CHECK(ada.fetch("GET", "alice", "/", "alice").status == 200);
  CHECK(platform.daemon.api("POST", "/plugins/identity/disable").status == 200);
  CHECK(ada.fetch("GET", "alice", "/", "alice").status == 503);
  CHECK(ada.fetch("GET", "alice", "/about", "alice").status == 503);
  CHECK(platform.daemon.api("POST", "/plugins/identity/enable").status == 200);
  CHECK(ada.fetch("GET", "alice", "/", "alice").status == 200);
}

TEST_CASE("operators see who is signed in, and sign people out") {
  Browser gina = signedIn("gina");
  const Finished list = shared().daemon.ctl({"sessions", "list", "--user", "gina"});
  CHECK_MESSAGE(list.out.find("gina@localhost") != std::string::npos, list.out);
  signedIn("hugo");
  const Response own = gina.fetch("GET", "console", "/api/auth/sessions?user=hugo", "console");
  CHECK(std::count(own.body.begin(), own.body.end(), '{') == 1); // her own, whomever she names
  const std::string his = member(objectIn(shared().daemon.api("GET", "/auth/sessions?user=hugo").body), "id");
  const Headers script{{"X-Matrixos", "1"}};
  CHECK(gina.fetch("DELETE", "console", "/api/auth/sessions/" + his, "console", script).status == 404);
  const Finished ended = shared().daemon.ctl({"sessions", "end-all", "gina"});
  CHECK_MESSAGE(ended.out.find("gina is signed out; sessions ended: 1") != std::string::npos, ended.out);
  CHECK(gina.fetch("GET", "console", "/auth/me", "console").status == 401);
  CHECK(shared().daemon.api("DELETE", "/auth/sessions").status == 400);
  CHECK(shared().daemon.api("DELETE", "/auth/sessions/nope").status == 404);
}
