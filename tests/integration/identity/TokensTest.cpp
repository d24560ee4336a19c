// API tokens.
#include "Browser.h"
#include "Platform.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

namespace {

Response make(const std::string &scopes, const std::string &ttl = "1h", const std::string &name = "deploy") {
  return shared().daemon.api("POST", "/tokens",
                             R"({"name":")" + name + R"(","scopes":)" + scopes + R"(,"ttl":")" + ttl + "\"}");
}

Response with(const std::string &token, const std::string &method, const std::string &target,
              const std::string &host = "localhost", const std::string &body = {}) {
  return request(shared().daemon.proxyPort(), method, target, {{"Host", host}, {"Authorization", "Bearer " + token}},
                 body);
}

} // namespace

TEST_CASE("a token opens what its scopes say, is shown once, and ends") {
  const Response made = make(R"(["*"])");
  REQUIRE(made.status == 201);
  const std::string token = member(made.body, "token"), id = member(made.body, "id");
  CHECK(token.substr(0, 4) == "mxo_");
  CHECK(with(token, "GET", "/plugins").status == 200);
  const std::string list = with(token, "GET", "/tokens").body;
  CHECK(list.find(id) != std::string::npos);
  CHECK(list.find("mxo_") == std::string::npos);
  CHECK(with(token + "x", "GET", "/plugins").status == 401);
  CHECK(with(token.substr(0, token.size() - 1), "GET", "/plugins").status == 401);
  CHECK(with("mxo_", "GET", "/plugins").status == 401);
  shared().daemon.stop();
  shared().daemon.start();
  CHECK(with(token, "GET", "/plugins").status == 200);
  CHECK(with(token, "DELETE", "/tokens/" + id).status == 200);
  CHECK(with(token, "GET", "/plugins").status == 401);
  CHECK(shared().daemon.log().find(token) == std::string::npos);
}

TEST_CASE("a token makes none that may do more than itself") {
  const std::string token = member(make(R"(["tokens:write","usage:read"])").body, "token");
  const auto tries = [&](const char *scopes) {
    return with(token, "POST", "/tokens", "localhost",
                std::string(R"({"name":"x","ttl":"1h","scopes":)") + scopes + "}")
        .status;
  };
  CHECK(tries(R"(["usage:read"])") == 201);
  CHECK(tries(R"("usage:read, tokens:write")") == 201);
  CHECK(tries(R"(["*"])") == 403);
  CHECK(tries(R"(["usage:read","usage:write"])") == 403);
  CHECK(with(token, "GET", "/plugins").status == 403);
  CHECK(with(member(make(R"(["usage:read"])").body, "token"), "POST", "/tokens").status == 403);
}

TEST_CASE("what is no token is not made") {
  CHECK(make(R"(["instances:destroy"])").status == 400);
  CHECK(make("[]").status == 400);
  CHECK(make(R"(["*"])", "367d").status == 400);
  CHECK(make(R"(["*"])", "0s").status == 400);
  CHECK(make(R"(["*"])", "99999999999999999999d").status == 400);
  CHECK(make(R"(["*"])", "1h", "a b").status == 400);
  CHECK(shared().daemon.api("POST", "/tokens", R"({"name":"x","scopes":["*"]})").status == 400);
  CHECK(shared().daemon.api("DELETE", "/tokens/nope").status == 404);
}

TEST_CASE("a program reaches instances with instances:proxy, and no instance sees the token") {
  const std::string token = member(make(R"(["instances:proxy"])").body, "token");
  for (const auto &[host, target] : {std::pair{"localhost", "/proxy/alice/x"}, {"alice.localhost", "/x"}}) {
    CHECK(with(token, "GET", target, host).status == 200);
    const std::string heard = shared().lastRequest();
    CHECK(heard.find("GET /x HTTP/1.1") == 0);
    CHECK(heard.find("mxo_") == std::string::npos);
    CHECK(heard.find("X-Matrix-Role: operator") != std::string::npos);
  }
  for (const std::string scheme : {"Bearer  ", "Bearer \t", "Bearer\t", "bearer   ", "BEARER "}) {
    const Headers fields{{"Host", "alice.localhost"}, {"Authorization", scheme + token}};
    CHECK_MESSAGE(request(shared().daemon.proxyPort(), "GET", "/x", fields).status == 200, scheme);
    CHECK_MESSAGE(shared().lastRequest().find("mxo_") == std::string::npos, scheme);
  }
  const std::string other = member(make(R"(["instances:read"])").body, "token");
  CHECK(with(other, "GET", "/x", "alice.localhost").status == 403);
  CHECK(with(other, "GET", "/about", "alice.localhost").status == 403); // nobody's token goes to an instance
  CHECK(with("mxo_x", "GET", "/x", "alice.localhost").status == 401);
}

TEST_CASE("matrixosctl makes, lists and ends tokens") {
  const Finished made = shared().daemon.ctl({"tokens", "create", "ci", "--scopes", "usage:read", "--ttl", "30d"});
  CHECK_MESSAGE(made.status == 0, made.out);
  CHECK(made.out.find("mxo_") != std::string::npos);
  const Finished list = shared().daemon.ctl({"tokens", "list"});
  CHECK_MESSAGE(list.out.find("usage:read") != std::string::npos, list.out);
}
