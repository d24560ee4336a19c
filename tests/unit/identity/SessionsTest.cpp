// What of sessions lies in the database, and comes back from there.
#include "Stage.h"

#include <doctest/doctest.h>
#include <identity/Sessions.h>

using namespace matrixos;
using namespace matrixos::identity;
using matrixos::test::IdentityStage;

namespace {

bool visits(const Sessions &sessions, const std::string &cookie, const char *handle) {
  return sessions.table().visit(cookie, handle, sessions.now(), [](const User &) {});
}

} // namespace

TEST_CASE_FIXTURE(IdentityStage, "of a session's cookies for a host the last one alone is kept") {
  std::string last, other;
  {
    Sessions sessions(sql, [this] { return now; });
    sessions.load({1'000'000, 0, {}});
    const Digest session = Digest::of(sessions.begin({"user_a", "a@b.c", true, "A", "", {}}));
    other = sessions.grant(session, "bob");
    for (int i = 0; i < 50; ++i) {
      last = sessions.grant(session, "alice");
      if (i % 7 == 0) sessions.flush();
    }
    sessions.flush();
    CHECK(count("identity_grants") == 2);
  }
  Sessions again(sql, [this] { return now; });
  again.load({1'000'000, 0, {}});
  CHECK(visits(again, last, "alice"));
  CHECK(visits(again, other, "bob"));
}

TEST_CASE_FIXTURE(IdentityStage,
                  "a program's session is its user's, ends with the sign-in it is by, and has no cookie") {
  std::string cookie, token;
  {
    Sessions sessions(sql, [this] { return now; });
    sessions.load({1'000'000, 0, Operators({"user_a"})});
    cookie = sessions.begin({"user_a", "a@b.c", true, "A", "", {}});
    now += 400'000;
    token = sessions.beginProgram(Digest::of(cookie));
    CHECK(token.substr(0, 4) == "mxu_");
    CHECK(sessions.beginProgram(Digest::of("nobody's")).empty());
  }
  Sessions again(sql, [this] { return now; });
  again.load({1'000'000, 0, Operators({"user_a"})});
  const auto found = again.ofToken("Bearer " + token);
  REQUIRE(found);
  CHECK(found->user->byProgram());
  CHECK(found->user->id() == "user_a");
  CHECK(found->user->operatorBy() == "user_a");
  CHECK(found->expiresAt == 2'000'000);
  for (const std::string &other : {token, "Bearer mxu_" + cookie, "Bearer " + cookie, "Bearer " + token.substr(4)})
    CHECK_MESSAGE(!again.ofToken(other), other);
  for (const std::string &value : {token, token.substr(4)})
    CHECK(!again.ofCookies("matrixos=" + value, true));
  CHECK(again.ofCookies("matrixos=x; matrixos=" + cookie, true));
  CHECK(!again.ofCookies("matrixos=" + cookie, true)->user->byProgram());
  again.configure({1'000'000, 0, Operators()});
  CHECK(again.ofToken("Bearer " + token)->user->operatorBy().empty());
  CHECK(again.endAll("user_a") == 2);
  CHECK(!again.ofToken("Bearer " + token));
  CHECK(again.beginProgram(Digest::of(cookie)).empty());
}
