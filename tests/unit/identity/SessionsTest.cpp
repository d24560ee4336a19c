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
