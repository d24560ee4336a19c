// Instances that their owners share.
#include "Browser.h"
#include "Platform.h"

#include <doctest/doctest.h>

using namespace matrixos::test;

namespace {

constexpr const char *kShares = "/api/containers/alice/shares";

Response share(Browser &browser, const std::string &body) {
  return browser.fetch("POST", "console", kShares, "console", {{"X-Matrixos", "1"}}, body);
}

} // namespace

TEST_CASE("an owner shares, and ends it") {
  Browser ada = signedIn("ada"), bob = signedIn("bob");
  CHECK(bob.open(bob.url("alice", "/")).status == 403);
  const Response made = share(ada, R"({"user":"bob"})");
  REQUIRE(made.status == 201);
  CHECK(member(made.body, "role") == "use");
  CHECK(bob.open(bob.url("alice", "/")).body == "an instance");
  CHECK(shared().lastRequest().find("X-Matrix-Role: shared") != std::string::npos);
  CHECK(bob.fetch("GET", "console", "/auth/me", "console").body.find(R"({"handle":"alice","role":"use"})") !=
        std::string::npos);
  CHECK(bob.open(bob.url("sleepy", "/")).status == 403); // another one of hers
  const std::string id = member(made.body, "id");
  CHECK(ada.fetch("GET", "console", kShares, "console").body.find(id) != std::string::npos);
  CHECK(ada.fetch("DELETE", "console", std::string(kShares) + "/" + id, "console", {{"X-Matrixos", "1"}}).status ==
        200);
  CHECK(bob.fetch("GET", "alice", "/", "alice").status == 403);
}

TEST_CASE("whom it is shared with shares on nothing, and sees not with whom") {
  Browser ada = signedIn("ada"), carol = signedIn("carol");
  REQUIRE(share(ada, R"({"user":"carol","role":"manage"})").status == 201);
  for (const char *body :
       {R"({"user":"dave"})", R"({"user":"carol","role":"manage"})", R"({"email":"dave@localhost"})"})
    CHECK_MESSAGE(share(carol, body).status == 403, body);
  CHECK(carol.fetch("GET", "console", kShares, "console").status == 403);
  CHECK(share(ada, R"({"user":"carol","role":"use"})").status == 201); // the same share, with less
  CHECK(carol.fetch("GET", "console", "/auth/me", "console").body.find(R"({"handle":"alice","role":"use"})") !=
        std::string::npos);
}

TEST_CASE("by email, and what is no share") {
  Browser ada = signedIn("ada"), erin = signedIn("erin");
  REQUIRE(share(ada, R"({"email":"Erin@localhost"})").status == 201);
  CHECK(erin.open(erin.url("alice", "/")).body == "an instance");
  for (const char *body : {"{}", R"({"user":""})", R"({"user":"a","email":"a@b"})", R"({"user":"a","role":"owner"})",
                           R"({"email":"a@b@c"})", R"({"email":"a"})", R"({"user":"a b"})", R"({"user":7})", "x"})
    CHECK_MESSAGE(share(ada, body).status == 400, body);
  CHECK(share(erin, R"({"user":"x"})").status == 403);
  CHECK(shared().daemon.api("GET", "/containers/nobody/shares").status == 404);
  CHECK(shared().daemon.api("DELETE", "/containers/alice/shares/nope").status == 404);
}

TEST_CASE("matrixosctl shares, and shares survive the daemon") {
  const Finished added = shared().daemon.ctl({"shares", "add", "alice", "--user", "frank", "--role", "manage"});
  CHECK_MESSAGE(added.status == 0, added.out);
  shared().daemon.stop();
  shared().daemon.start();
  Browser frank = signedIn("frank");
  CHECK(frank.open(frank.url("alice", "/")).body == "an instance");
  const Finished list = shared().daemon.ctl({"shares", "list", "alice"});
  CHECK_MESSAGE(list.out.find("frank") != std::string::npos, list.out);
}
