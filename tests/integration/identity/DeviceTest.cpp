// Programs that people let in (RFC 8628).
#include "Browser.h"
#include "Platform.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

namespace {

const std::string kClient = "client_id=test";

Response post(const std::string &target, const std::string &form, const std::string &host = "localhost",
              const std::string &type = "application/x-www-form-urlencoded") {
  return request(shared().daemon.proxyPort(), "POST", target,
                 {{"Host", host + ":" + std::to_string(shared().daemon.proxyPort())}, {"Content-Type", type}}, form);
}

struct Program {
  explicit Program(const std::string &host = "localhost") {
    const Response answer = post("/auth/device", kClient, host);
    CHECK_MESSAGE(answer.status == 200, answer.body);
    CHECK(answer.headers.at("cache-control") == "no-store");
    deviceCode = member(answer.body, "device_code");
    userCode = member(answer.body, "user_code");
    page = member(answer.body, "verification_uri");
    CHECK(member(answer.body, "verification_uri_complete") == page + "?user_code=" + userCode);
    CHECK(member(answer.body, "expires_in") == "600");
    CHECK(member(answer.body, "interval") == "5");
  }
  Response poll(const std::string &client = kClient) const {
    return post("/auth/device/token", client +
                                          "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
                                          "&device_code=" +
                                          deviceCode);
  }
  std::string error() const {
    const Response answer = poll();
    CHECK(answer.status == 400);
    return member(answer.body, "error");
  }
  Response answerBy(Browser &browser, const std::string &from = "console", Headers more = {},
                    const std::string &decision = {}) const {
    more.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    return browser.fetch("POST", "console", "/auth/device/approve", from, more, "user_code=" + userCode + decision);
  }
  /// Let in by whom that is.
  std::string token(const std::string &name) const {
    Browser browser = signedIn(name);
    CHECK(answerBy(browser).status == 200);
    const Response answer = poll();
    CHECK_MESSAGE(answer.status == 200, answer.body);
    CHECK(member(answer.body, "token_type") == "Bearer");
    CHECK(answer.headers.at("cache-control") == "no-store");
    return member(answer.body, "access_token");
  }

  std::string deviceCode, userCode, page;
};

Response with(const std::string &token, const std::string &method, const std::string &target,
              const std::string &host = "localhost") {
  return request(
      shared().daemon.proxyPort(), method, target,
      {{"Host", host + ":" + std::to_string(shared().daemon.proxyPort())}, {"Authorization", "Bearer " + token}});
}

} // namespace

TEST_CASE("a program asks, a person signs in, sees who asks, and lets it in") {
  for (const char *host : {"localhost", "console.localhost"}) {
    const Program program(host);
    CHECK(program.page == newBrowser().url("console", "/auth/device"));
    CHECK(program.error() == "authorization_pending");
    CHECK(program.error() == "slow_down");
    Browser ada = newBrowser();
    const Response page = ada.signInAs("ada", program.page + "?user_code=" + program.userCode);
    CHECK(ada.visited.back().find("/auth/device?user_code=") != std::string::npos); // back from signing in
    CHECK(page.body.find(program.userCode) != std::string::npos);
    CHECK(page.body.find("127.0.0.1") != std::string::npos);
    CHECK(page.body.find(" to act as ada@localhost, with all your rights.") != std::string::npos);
    CHECK(page.headers.at("content-security-policy").find("frame-ancestors 'none'") != std::string::npos);
    const Response in = program.answerBy(ada);
    CHECK(in.status == 200);
    CHECK(in.body.find("It has access until it signs out, you sign out in this browser, or 20") != std::string::npos);
    CHECK(program.answerBy(ada).status == 404); // it has its answer
  }
}

TEST_CASE("its token is the user, on the API and on instances, and no instance sees it") {
  const std::string token = Program().token("ada");
  CHECK(token.substr(0, 4) == "mxu_");
  const Response me = with(token, "GET", "/auth/me");
  CHECK(me.status == 200);
  CHECK(me.body.find(R"("user":{"id":"ada","email":"ada@localhost","name":"ada"},"roles":["user"])") !=
        std::string::npos);
  CHECK(me.body.find(R"("kind":"program")") != std::string::npos);
  CHECK(with(token, "GET", "/plugins").status == 403);
  CHECK(with(token, "GET", "/containers/alice/shares").status == 200);
  CHECK(with(token, "GET", "/proxy/alice/x").status == 200);
  CHECK(with(token, "GET", "/x", "alice.localhost").status == 200);
  CHECK(shared().lastRequest().find("X-Matrix-Role: owner") != std::string::npos);
  for (const std::string &heard : shared().instance.requests())
    CHECK(heard.find("mxu_") == std::string::npos);
  CHECK(with(Program().token("eve"), "GET", "/x", "alice.localhost").status == 403);
  CHECK(with(token + "x", "GET", "/auth/me").status == 401);
  // It is no cookie, whole or in part.
  for (const std::string &value : {token, token.substr(4)}) {
    Browser thief = newBrowser();
    thief.setCookie("console", "matrixos", value);
    thief.setCookie("alice", "matrixos-app", value);
    CHECK(thief.fetch("GET", "console", "/auth/me", "console").status == 401);
    CHECK(thief.fetch("GET", "alice", "/", "alice").status == 401);
  }
  const std::string cookie = signedIn("ada").cookie("console", "matrixos");
  CHECK(with("mxu_" + cookie, "GET", "/auth/me").status == 401);
  CHECK(with(cookie, "GET", "/auth/me").status == 401);
  CHECK(shared().daemon.log().find(token) == std::string::npos);
}

TEST_CASE("an operator's program is one, until the user is none") {
  const std::string token = Program().token("oscar");
  CHECK(with(token, "GET", "/plugins").status == 200);
  CHECK(with(token, "GET", "/x", "alice.localhost").status == 200);
}

TEST_CASE("it is listed and ended like a session, by itself, by its user, and by signing out everywhere") {
  Browser dora = signedIn("dora");
  const std::string first = Program().token("dora"), second = Program().token("dora"), third = Program().token("dora");
  const std::string list = dora.fetch("GET", "console", "/auth/sessions", "console").body;
  const auto idOf = [](const std::string &token) {
    return parseObject(with(token, "GET", "/auth/me").body)->getObject("session")->getValue<std::string>("id");
  };
  CHECK(list.find(idOf(first)) != std::string::npos);
  CHECK(with(first, "GET", "/auth/sessions").body.find(idOf(second)) != std::string::npos);
  CHECK(with(first, "POST", "/auth/logout").status == 200);
  CHECK(with(first, "GET", "/auth/me").status == 401);
  CHECK(with(Program().token("eve"), "DELETE", "/auth/sessions/" + idOf(second)).status == 404);
  CHECK(dora.fetch("DELETE", "console", "/auth/sessions/" + idOf(second), "console").status == 200);
  CHECK(with(second, "GET", "/auth/me").status == 401);
  shared().daemon.stop();
  shared().daemon.start();
  CHECK(with(third, "DELETE", "/auth/sessions").status == 200);
  CHECK(with(third, "GET", "/auth/me").status == 401);
  CHECK(dora.fetch("GET", "console", "/auth/me", "console").status == 401);
}

TEST_CASE("it ends when the sign-in that let it in does, and no other") {
  Browser here = signedIn("lena"), there = signedIn("lena");
  const Program program;
  CHECK(program.answerBy(here).status == 200);
  const std::string token = member(program.poll().body, "access_token");
  CHECK(with(token, "GET", "/auth/me").status == 200);
  CHECK(there.fetch("POST", "console", "/auth/logout", "console").status == 200);
  CHECK(with(token, "GET", "/auth/me").status == 200);
  CHECK(here.fetch("POST", "console", "/auth/logout", "console").status == 200);
  CHECK(with(token, "GET", "/auth/me").status == 401);
}

TEST_CASE("no other page, no frame and nobody else lets a program in") {
  const Program program;
  Browser ada = signedIn("ada"), nobody = newBrowser();
  for (const char *from : {"alice", "sleepy"})
    CHECK_MESSAGE(program.answerBy(ada, from).status == 403, from);
  const std::string form = "user_code=" + program.userCode;
  const Headers own{{"Host", ada.host("console")},
                    {"Cookie", "matrixos=" + ada.cookie("console", "matrixos")},
                    {"Content-Type", "application/x-www-form-urlencoded"}};
  const auto forged = [&](const Headers &more) {
    Headers all = own;
    all.insert(all.end(), more.begin(), more.end());
    return request(shared().daemon.proxyPort(), "POST", "/auth/device/approve", all, form).status;
  };
  CHECK(forged({{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "iframe"}}) ==
        403);
  CHECK(forged({{"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}}) ==
        403);
  CHECK(forged({{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}}) ==
        403);
  CHECK(forged({{"Origin", ada.url("alice", "").substr(0, ada.url("alice", "").size())}}) == 403);
  CHECK(forged({{"Origin", "null"}}) == 403);
  CHECK(program.answerBy(nobody).status == 401);
  // Opening the page is no answer, and none is taken by GET.
  CHECK(ada.open(program.page + "?user_code=" + program.userCode).status == 200);
  CHECK(ada.open(ada.url("console", "/auth/device/approve?" + form)).status != 200);
  CHECK(program.error() == "authorization_pending");
  CHECK(program.answerBy(ada, "console", {}, "&decision=deny").status == 200);
  const std::string last = program.error();
  CHECK((last == "access_denied" || last == "slow_down")); // it was asked a moment ago
}

TEST_CASE("a program that is not let in, and one whose user signs out meanwhile, hear so") {
  Browser finn = signedIn("finn");
  const Program refused, orphan;
  CHECK(refused.answerBy(finn, "console", {}, "&decision=deny").status == 200);
  CHECK(refused.error() == "access_denied");
  CHECK(orphan.answerBy(finn).status == 200);
  CHECK(finn.fetch("POST", "console", "/auth/logout", "console").status == 200);
  CHECK(orphan.error() == "access_denied");
  CHECK(orphan.error() == "invalid_grant");
}

TEST_CASE("what is asked in another way than RFC 8628 has it is refused") {
  const Program program;
  const auto error = [](const Response &answer) {
    return std::to_string(answer.status) + " " + member(answer.body, "error");
  };
  CHECK(error(post("/auth/device", kClient + "&scope=admin")) == "400 invalid_scope");
  CHECK(error(post("/auth/device", "client_id=a&client_id=b")) == "400 invalid_request");
  CHECK(error(post("/auth/device", R"({"client_id":"a"})", "localhost", "application/json")) == "400 invalid_request");
  CHECK(error(post("/auth/device", "client_id=%zz")) == "400 invalid_request");
  CHECK(error(post("/auth/device", "client_id=a%20b")) == "400 invalid_client");
  CHECK(error(post("/auth/device/token", "device_code=" + program.deviceCode)) == "400 invalid_request");
  CHECK(error(post("/auth/device/token", "grant_type=password&device_code=x")) == "400 unsupported_grant_type");
  const std::string grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
  CHECK(error(post("/auth/device/token", grant)) == "400 invalid_request");
  CHECK(error(post("/auth/device/token", grant + "&device_code=x")) == "400 invalid_grant");
  CHECK(error(program.poll("client_id=other")) == "400 invalid_grant");
  CHECK(program.error() == "authorization_pending");
  CHECK(post("/auth/device", std::string(5000, 'x')).status == 413);
}

TEST_CASE("guesses at codes end, for one user") {
  const Program program;
  Browser mallory = signedIn("mallory"), ada = signedIn("ada");
  for (int i = 0; i < 10; ++i)
    CHECK(mallory.open(mallory.url("console", "/auth/device?user_code=BBBB-BBB" + std::string(1, "BCDFGHJKLM"[i])))
              .status == 404);
  for (int i = 0; i < 12; ++i) // which a tenant's page cannot spend
    CHECK(ada.fetch("GET", "console", "/auth/device?user_code=BBBB-BBBB", "alice").status == 403);
  const Response enough = mallory.open(mallory.url("console", "/auth/device?user_code=" + program.userCode));
  CHECK(enough.status == 429);
  CHECK(enough.headers.count("retry-after") == 1);
  CHECK(program.answerBy(mallory).status == 429);
  CHECK(program.answerBy(ada).status == 200);
}
