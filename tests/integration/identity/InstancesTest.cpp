// Who reaches an instance, and what the instance hears.
#include "Browser.h"
#include "Platform.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace matrixos::test;

namespace {

/// On an instance's host.
Browser visiting(const std::string &name, const std::string &label = "alice") {
  Browser browser = newBrowser();
  browser.signInAs(name, browser.url(label, "/"));
  return browser;
}

/// The value of a field in what the instance was asked, "" when it is not there.
std::string heard(const std::string &field) {
  std::string all = shared().lastRequest(), wanted = "\r\n" + field + ": ";
  const auto lower = [](std::string &text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  };
  std::string lowered = all;
  lower(lowered);
  lower(wanted);
  const std::size_t at = lowered.find(wanted);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + wanted.size();
  return all.substr(begin, all.find("\r\n", begin) - begin);
}

} // namespace

TEST_CASE("what a service worker passes on for another host's page is shown in no frame") {
  Browser ada = visiting("ada");
  const auto policyFor = [&](const char *site, const char *target, Browser &who, const std::string &path = "/x") {
    Response page = request(shared().daemon.proxyPort(), "GET", path,
                            {{"Host", who.host("alice")},
                             {"Cookie", "matrixos-app=" + who.cookie("alice", "matrixos-app")},
                             {"Sec-Fetch-Mode", "navigate"},
                             {"Sec-Fetch-Dest", target},
                             {"Sec-Fetch-Site", site}});
    CHECK(page.status == 200);
    return page.headers["content-security-policy"];
  };
  for (const char *site : {"same-site", "cross-site"}) {
    CHECK(policyFor(site, "empty", ada) == "frame-ancestors 'self'");
    CHECK(policyFor(site, "document", ada).empty()); // a tab
  }
  for (const char *site : {"same-origin", "none"})
    CHECK(policyFor(site, "empty", ada).empty());
  Browser nobody = newBrowser();
  CHECK(policyFor("same-site", "empty", nobody, "/about").empty());
  // The way back from signing in looks the same, and leads there.
  CHECK(heard("X-Matrix-Role") == "public");
  policyFor("same-site", "empty", ada);
  CHECK(heard("X-Matrix-Role") == "owner");
}

TEST_CASE("a deep link survives signing in, and the instance hears who came and no cookie of ours") {
  Browser browser = newBrowser();
  const Response page = browser.signInAs("ada", browser.url("alice", "/notes/7?q=a%20b&x=/y"));
  CHECK(page.status == 200);
  CHECK(page.body == "an instance");
  CHECK(browser.visited.back() == browser.url("alice", "/notes/7?q=a%20b&x=/y"));
  CHECK(shared().lastRequest().find("GET /notes/7?q=a%20b&x=/y HTTP/1.1") == 0);
  browser.setCookie("alice", "own", "1");
  CHECK(browser.fetch("GET", "alice", "/data", "alice").status == 200);
  CHECK(heard("X-Matrix-User") == "ada");
  CHECK(heard("X-Matrix-Email") == "ada@localhost");
  CHECK(heard("X-Matrix-Role") == "owner");
  CHECK(heard("Cookie") == "own=1");
}

TEST_CASE("nobody else reaches it, and nobody wakes it in vain") {
  Browser anonymous = newBrowser();
  const Response refused = anonymous.fetch("GET", "sleepy", "/", "");
  CHECK(refused.status == 401);
  CHECK(refused.headers.at("www-authenticate") == "Bearer");
  CHECK(refused.headers.at("content-type").find("application/problem+json") == 0);
  CHECK(anonymous.open(anonymous.url("sleepy", "/"), 0).status == 302);
  Browser eve = newBrowser();
  const Response notHers = eve.signInAs("eve", eve.url("sleepy", "/"));
  CHECK(notHers.status == 403);
  CHECK(notHers.body.find("This instance is not yours") != std::string::npos);
  CHECK(eve.open(eve.url("nobody", "/")).status == 403); // the same for a name that nobody has
  int status = 0;
  CHECK(webSocketEcho(shared().daemon.proxyPort(), "sleepy.localhost", "/ws", "hello", status).empty());
  CHECK(status == 401);
  CHECK(shared().daemon.log().find(" start handle=sleepy\n") == std::string::npos);
}

TEST_CASE("a cookie of one host is worth nothing on another") {
  Browser ada = visiting("ada");
  const std::string cookie = ada.cookie("alice", "matrixos-app");
  REQUIRE(cookie.size() == 43);
  Browser other = newBrowser();
  other.setCookie("sleepy", "matrixos-app", cookie);
  CHECK(other.fetch("GET", "sleepy", "/", "").status == 401);
  other.setCookie("console", "matrixos", cookie);
  CHECK(other.fetch("GET", "console", "/auth/me", "").status == 401);
  other.setCookie("alice", "matrixos-app", ada.cookie("console", "matrixos"));
  CHECK(other.fetch("GET", "alice", "/", "").status == 401);
  // By path no cookie counts, whosever it is.
  const Headers own{{"Host", "localhost"}, {"Cookie", "matrixos-app=" + cookie}};
  CHECK(request(shared().daemon.proxyPort(), "GET", "/proxy/alice/", own).status == 401);
}

TEST_CASE("a page of another tenant's cannot use who is signed in") {
  Browser ada = visiting("ada");
  CHECK(ada.fetch("GET", "alice", "/data", "sleepy").status == 403);
  CHECK(ada.fetch("POST", "alice", "/data", "sleepy", {{"Content-Type", "text/plain"}}, "x").status == 403);
  CHECK(ada.fetch("POST", "alice", "/data", "alice", {}, "x").status == 200);
  // What is for everybody is for them, too, and comes without the name.
  CHECK(ada.fetch("GET", "alice", "/about", "sleepy").status == 200);
  CHECK(heard("X-Matrix-Role") == "public");
  CHECK(heard("X-Matrix-User").empty());
}

TEST_CASE("public paths are decided on the bytes that the instance gets") {
  Browser browser = newBrowser();
  CHECK(browser.fetch("GET", "alice", "/about?x=1", "").status == 200);
  CHECK(heard("X-Matrix-Role") == "public");
  CHECK(browser.fetch("GET", "alice", "/blog/a", "").status == 200);
  for (const char *path : {"/private?/about", "/blog/../private", "/blog/%2e%2e/private", "/blog/..%2fprivate",
                           "/blog//x", "/blog/;x", "/blog/%5c..", "/about/", "/%61bout", "/private#/about"}) {
    const int status = browser.fetch("GET", "alice", path, "").status;
    CHECK_MESSAGE((status == 401 || status == 400), path);
  }
  Browser oscar = newBrowser();
  oscar.signInAs("oscar", oscar.url("alice", "/"));
  CHECK(heard("X-Matrix-Role") == "operator");
}

TEST_CASE("names that clients give themselves never reach the instance") {
  Browser browser = newBrowser();
  for (const char *name : {"X-Matrix-User", "x-matrix-role", "X_Matrix_User", "X-Matrix.Email", "X_MATRIX.ROLE"}) {
    CHECK(browser.fetch("GET", "alice", "/about", "", {{name, "root"}}).status == 200);
    CHECK_MESSAGE(shared().lastRequest().find("root") == std::string::npos, name);
  }
  CHECK(heard("X-Matrix-Role") == "public");
}

TEST_CASE("/.matrixos/ is the platform's: no instance sees it, and no service worker has it") {
  Browser ada = visiting("ada");
  const std::size_t before = shared().instance.requests().size();
  for (const char *path : {"/.matrixos", "/.matrixos/", "/.matrixos/x", "/.matrixos/auth/x", "/.matrixos/sw.js",
                           "/.matrixos?x", "/.matrixos/waiting?x", "/.matrixos/waiting?", "/.matrixos/waiting/"})
    CHECK_MESSAGE(ada.fetch("GET", "alice", path, "alice").status == 404, path);
  CHECK(ada.fetch("GET", "alice", "/.matrixos/sw.js", "alice", {{"Service-Worker", "script"}}).status == 403);
  CHECK(ada.fetch("GET", "alice", "/.matrixos/auth?code=x", "alice", {{"Service-Worker", "script"}}).status == 403);
  CHECK(shared().instance.requests().size() == before);
}

TEST_CASE("a code is good once, for its host, in its browser") {
  Browser ada = visiting("ada", "sleepy");
  // To the code, and not on.
  const auto codeFor = [&](Browser &browser, const std::string &label) {
    return browser.open(browser.url(label, "/"), 1).headers.at("location");
  };
  const std::string address = codeFor(ada, "alice");
  REQUIRE(address.find(ada.url("alice", "/.matrixos/auth?code=")) == 0);
  const std::string code = parameterOf(address, "code");
  Browser thief = newBrowser();
  thief.open(thief.url("alice", "/"), 0); // with a nonce of its own
  CHECK(thief.open(address).status == 403);
  CHECK(ada.open(address).status == 403); // whoever shows it ends it
  CHECK(ada.cookie("alice", "matrixos-app").empty());

  const std::string other = codeFor(ada, "alice");
  CHECK(ada.open(ada.url("sleepy", "/.matrixos/auth?code=" + parameterOf(other, "code")), 0).status != 200);
  CHECK(ada.open(other, 0).status == 403);

  const std::string third = codeFor(ada, "alice");
  CHECK(ada.open(third).body == "an instance");
  CHECK(ada.cookie("alice", "matrixos-app").size() == 43);
  const Response again = ada.open(third, 0);
  CHECK(again.status == 303); // another tab: there is a cookie already, and no new one
  CHECK(again.headers.count("set-cookie") == 0);
}
