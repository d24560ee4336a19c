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
  CHECK(count("identity_sessions") == 2);
  CHECK(again.end(Digest::of(cookie)));
  CHECK(count("identity_sessions") == 0);
  CHECK(!again.ofToken("Bearer " + token));
  CHECK(again.beginProgram(Digest::of(cookie)).empty());
}

TEST_CASE_FIXTURE(IdentityStage, "a program that is let in while its sign-in ends does not outlive it") {
  Sessions sessions(sql, [this] { return now; });
  sessions.load({1'000'000, 0, {}});
  const ProviderUser user{"user_a", "a@b.c", true, "A", "", {}};
  for (const bool everywhere : {false, true}) {
    const Digest signIn = Digest::of(sessions.begin(user));
    host.onBatch([&](const std::string &text) {
      if (text.find("INSERT INTO identity_sessions") == std::string::npos) return;
      host.onBatch({});
      everywhere ? static_cast<void>(sessions.endAll("user_a")) : static_cast<void>(sessions.end(signIn));
    });
    CHECK(sessions.beginProgram(signIn).empty());
    CHECK(sessions.table().size() == 0);
    CHECK(count("identity_sessions") == 0);
  }
}

TEST_CASE_FIXTURE(IdentityStage, "a sign-in that is unused for too long takes its programs along, on disk as well") {
  Sessions sessions(sql, [this] { return now; });
  sessions.load({10'000'000, 100'000, {}});
  const Digest signIn = Digest::of(sessions.begin({"user_a", "a@b.c", true, "A", "", {}}));
  const std::string token = sessions.beginProgram(signIn);
  now += 90'000;
  CHECK(sessions.ofToken("Bearer " + token));
  now += 90'000; // 90 s after the program's last use
  CHECK(!sessions.ofToken("Bearer " + token));
  sessions.flush();
  CHECK(sessions.table().size() == 0);
  CHECK(count("identity_sessions") == 0);
}

TEST_CASE_FIXTURE(IdentityStage, "where somebody has too many sessions, the one that lets a program in stays") {
  Sessions sessions(sql, [this] { return now; });
  sessions.load({10'000'000, 0, {}});
  const ProviderUser user{"user_a", "a@b.c", true, "A", "", {}};
  const Digest oldest = Digest::of(sessions.begin(user));
  ++now;
  const Digest next = Digest::of(sessions.begin(user));
  for (std::size_t i = 2; i < Sessions::kMostOfUser; ++i, ++now)
    sessions.begin(user);
  const std::string token = sessions.beginProgram(oldest);
  CHECK(sessions.ofToken("Bearer " + token));
  CHECK(!sessions.table().find(next, now));
  CHECK(sessions.table().size() == Sessions::kMostOfUser);
}
