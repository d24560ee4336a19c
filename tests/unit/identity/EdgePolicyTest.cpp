#include "Doorway.h"
#include "support/Allocations.h"

#include <matrixos/testing/policy.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::identity;
using matrixos::test::allocations;
using matrixos::test::BareQuestion;
using matrixos::testing::checkPolicy;
using matrixos::testing::PolicyQuestion;

namespace {

struct Fixture : test::Doorway {
  Fixture() { own("alice", "user_a"); }
  /// A cookie of alice's host.
  std::string grant(const char *user, const char *email = "a@b.c") {
    session = Digest::of(sessions.begin({user, email, true, "A", "", {}}));
    return sessions.grant(session, "alice");
  }
  PolicyQuestion question(const std::string &cookie, std::uint32_t flags = 0) const {
    PolicyQuestion out;
    out.host = "alice.matrix.test";
    out.scheme = "https";
    out.flags = flags;
    if (!cookie.empty()) out.fields.emplace_back("cookie", "a=1; __Host-matrixos-app=" + cookie);
    return out;
  }

  Digest session;
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "the owner passes until the session ends, and others never do") {
  const std::string cookie = grant("user_a");
  const auto own = checkPolicy(*policy.table(), question(cookie));
  CHECK(own.verdict == MOS_VERDICT_ALLOW);
  CHECK(own.principal == "user:user_a");
  CHECK(own.fields ==
        testing::Fields{{"X-Matrix-User", "user_a"}, {"X-Matrix-Email", "a@b.c"}, {"X-Matrix-Role", "owner"}});
  PolicyQuestion elsewhere = question(cookie);
  elsewhere.handle = "bob";
  CHECK(checkPolicy(*policy.table(), elsewhere).status == 401);
  PolicyQuestion plain = question(cookie); // a cookie under the name that plain hosts use
  plain.fields = {{"cookie", "matrixos-app=" + cookie}};
  CHECK(checkPolicy(*policy.table(), plain).status == 401);
  sessions.end(session);
  CHECK(checkPolicy(*policy.table(), question(cookie)).status == 401);
  CHECK(checkPolicy(*policy.table(), question(grant("user_b"))).status == 403);
  const std::string late = grant("user_a");
  now += 100'000;
  CHECK(checkPolicy(*policy.table(), question(late)).status == 401);
}

TEST_CASE_FIXTURE(Fixture, "whoever opens a page is sent to sign in, with one nonce for all tabs") {
  const auto first = checkPolicy(*policy.table(), question("", MOS_REQUEST_NAVIGATION));
  CHECK(first.verdict == MOS_VERDICT_REDIRECT);
  CHECK(first.location.find("https://console.matrix.test/auth/authorize?host=alice.matrix.test&nonce=") == 0);
  const std::string cookie = first.fields.at(0).second;
  CHECK(cookie.find("__Host-matrixos-nonce=") == 0);
  CHECK(cookie.find("; Secure") != std::string::npos);
  PolicyQuestion again = question("", MOS_REQUEST_NAVIGATION);
  again.fields = {{"cookie", cookie.substr(0, cookie.find(';'))}};
  CHECK(checkPolicy(*policy.table(), again).location == first.location);
  PolicyQuestion frame = question("", MOS_REQUEST_NAVIGATION);
  frame.fields = {{"sec-fetch-dest", "iframe"}};
  CHECK(checkPolicy(*policy.table(), frame).status == 401);
  PolicyQuestion passedOn = question("", MOS_REQUEST_NAVIGATION); // by a service worker of the instance's
  passedOn.fields = {{"sec-fetch-mode", "navigate"}, {"sec-fetch-dest", "empty"}, {"sec-fetch-site", "none"}};
  CHECK(checkPolicy(*policy.table(), passedOn).verdict == MOS_VERDICT_REDIRECT);
  PolicyQuestion longer = question("", MOS_REQUEST_NAVIGATION);
  longer.path = "/" + std::string(8000, 'x');
  CHECK(checkPolicy(*policy.table(), longer).location.find("&return=%2F") == first.location.find("&return=%2F"));
}

TEST_CASE_FIXTURE(Fixture, "pages of others cannot use the cookie, whichever way they tell or hide it") {
  const std::string cookie = grant("user_a");
  const auto status = [&](testing::Fields more, std::uint32_t flags = 0) {
    PolicyQuestion asked = question(cookie, flags);
    asked.fields.insert(asked.fields.end(), more.begin(), more.end());
    const auto answer = checkPolicy(*policy.table(), asked);
    return answer.verdict == MOS_VERDICT_ALLOW ? 200U : answer.status;
  };
  CHECK(status({{"sec-fetch-site", "same-origin"}}) == 200);
  CHECK(status({{"origin", "https://alice.matrix.test"}}) == 200);
  CHECK(status({{"origin", "https://alice.matrix.test"}}, MOS_REQUEST_WEBSOCKET) == 200);
  CHECK(status({{"sec-fetch-site", "cross-site"}, {"sec-fetch-dest", "document"}}, MOS_REQUEST_NAVIGATION) == 200);
  CHECK(status({{"sec-fetch-site", "same-site"}, {"sec-fetch-dest", "empty"}}, MOS_REQUEST_NAVIGATION) == 200);
  CHECK(status({{"sec-fetch-site", "same-site"}, {"sec-fetch-dest", "empty"}}) == 403);
  CHECK(status({{"sec-fetch-site", "same-site"}}) == 403);
  CHECK(status({{"sec-fetch-site", "cross-site"}}) == 403);
  CHECK(status({{"sec-fetch-site", "cross-site"}, {"sec-fetch-dest", "iframe"}}, MOS_REQUEST_NAVIGATION) == 403);
  for (const char *origin : {"https://bob.matrix.test", "http://alice.matrix.test", "https://alice.matrix.test:1",
                             "null", "https://alice.matrix.test.evil.test", "x"})
    CHECK_MESSAGE(status({{"origin", origin}}) == 403, origin);
}

TEST_CASE_FIXTURE(Fixture, "a look at a session allocates nothing, whatever comes of it") {
  own("bob", "user_b");
  Share share{"S1", "Ibob", "user_a", {}, MOS_ROLE_USE, 1};
  access.setShares("Ibob", {share});
  const std::string hers = grant("user_a");
  const std::string shared = sessions.grant(session, "bob");
  BareQuestion owner("alice", hers), guest("bob", shared), stranger("alice", grant("user_c")),
      nobody("alice", makeId());
  const auto ask = [&] {
    return owner.ask(policy) == MOS_VERDICT_ALLOW && guest.ask(policy) == MOS_VERDICT_ALLOW &&
           stranger.ask(policy) == MOS_VERDICT_DENY && nobody.ask(policy) == MOS_VERDICT_DENY;
  };
  CHECK(ask());
  const std::size_t before = allocations;
  bool same = true;
  for (int i = 0; i < 1000; ++i)
    same = ask() && same;
  CHECK(same);
  CHECK(allocations == before);
}

TEST_CASE_FIXTURE(Fixture, "a session that ends is over for all who ask at the same time") {
  for (int round = 0; round < 20; ++round) {
    const std::string cookie = grant("user_a");
    std::atomic<int> asking{0}, wrong{0};
    std::vector<std::thread> loops;
    for (int i = 0; i < 4; ++i) {
      loops.emplace_back([&] {
        BareQuestion question("alice", cookie);
        if (question.ask(policy) != MOS_VERDICT_ALLOW) ++wrong;
        ++asking;
        while (question.ask(policy) == MOS_VERDICT_ALLOW) {
        }
        if (question.ask(policy) != MOS_VERDICT_DENY) ++wrong; // and stays so
      });
    }
    while (asking < 4)
      std::this_thread::yield();
    sessions.end(session);
    if (BareQuestion("alice", cookie).ask(policy) != MOS_VERDICT_DENY) ++wrong;
    for (std::thread &loop : loops)
      loop.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "a program reaches what its user reaches, by whichever way, until it is signed out") {
  const auto ask = [&](const std::string &token, std::uint32_t flags = 0) {
    PolicyQuestion asked = question("", flags);
    asked.fields = {{"authorization", "Bearer " + token}};
    return checkPolicy(*policy.table(), asked);
  };
  grant("user_a");
  const std::string own = sessions.beginProgram(session);
  for (const std::uint32_t flags : {0U, MOS_REQUEST_BY_PATH, MOS_REQUEST_WEBSOCKET}) {
    const auto answer = ask(own, flags);
    CHECK(answer.verdict == MOS_VERDICT_ALLOW);
    CHECK(answer.principal == "user:user_a");
    CHECK(answer.fields ==
          testing::Fields{{"X-Matrix-User", "user_a"}, {"X-Matrix-Email", "a@b.c"}, {"X-Matrix-Role", "owner"}});
  }
  grant("user_b");
  CHECK(ask(sessions.beginProgram(session)).status == 403);
  CHECK(ask(own + "x").status == 401);
  CHECK(ask("mxu_").status == 401);
  PolicyQuestion asCookie = question(own);
  CHECK(checkPolicy(*policy.table(), asCookie).status == 401);
  sessions.endAll("user_a");
  CHECK(ask(own).status == 401);
  CHECK(ask(own, MOS_REQUEST_NAVIGATION).status == 401);
}
