#include <matrixos/testing/policy.hpp>

#include <doctest/doctest.h>
#include <identity/EdgePolicy.h>

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocations = 0;

} // namespace

#ifndef MATRIXOS_INSTRUMENTED
// Not inline, or the compiler sees malloc() meet delete.
[[gnu::noinline]] void *operator new(std::size_t size) {
  ++allocations;
  if (void *memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

using namespace matrixos;
using namespace matrixos::identity;
using matrixos::testing::checkPolicy;
using matrixos::testing::PolicyQuestion;

namespace {

/// A database that takes everything and keeps nothing.
const mos_host_v1 *forgetfulHost() {
  static const mos_host_sql_v1 sql = [] {
    mos_host_sql_v1 table{};
    table.struct_size = sizeof table;
    table.query = [](void *, mos_str, const mos_sql_value *, std::uint32_t, mos_sql_rows, mos_error *) -> mos_status {
      return MOS_OK;
    };
    table.exec_batch = [](void *, const mos_sql_statement *, std::uint32_t, std::int64_t *, mos_error *) -> mos_status {
      return MOS_OK;
    };
    return table;
  }();
  static const mos_host_v1 host{sizeof(mos_host_v1), 0, nullptr,
                                [](void *, const char *) -> const void * { return &sql; }};
  return &host;
}

struct Fixture {
  Fixture() {
    InstanceRecord record;
    record.id = "I1";
    record.handle = "alice";
    record.clerkUserId = "user_a";
    record.rev = 1;
    record.status = InstanceStatus::Running;
    access.apply(record);
    sessions.load({100'000, 0, {}});
  }
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

  std::int64_t now = 1000;
  Sql sql{forgetfulHost()};
  Hosts hosts{"matrix.test"};
  Sessions sessions{sql, [this] { return now; }};
  Access access;
  Codes codes;
  ApiTokens tokens{sql, [this] { return now; }};
  EdgePolicy policy{hosts, sessions, access, codes, tokens, PublicPaths({"/about"})};
  Digest session;
};

/// A question that costs nothing to ask.
struct Bare : mos_policy_request {
  mos_pair cookie;
  std::uint32_t verdict = 0;
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
  CHECK(status({{"sec-fetch-site", "same-site"}}) == 403);
  CHECK(status({{"sec-fetch-site", "cross-site"}}) == 403);
  CHECK(status({{"sec-fetch-site", "cross-site"}, {"sec-fetch-dest", "iframe"}}, MOS_REQUEST_NAVIGATION) == 403);
  for (const char *origin : {"https://bob.matrix.test", "http://alice.matrix.test", "https://alice.matrix.test:1",
                             "null", "https://alice.matrix.test.evil.test", "x"})
    CHECK_MESSAGE(status({{"origin", origin}}) == 403, origin);
}

TEST_CASE_FIXTURE(Fixture, "a look at a session allocates nothing") {
  const std::string value = "a=1; __Host-matrixos-app=" + grant("user_a");
  Bare request{};
  request.struct_size = sizeof(mos_policy_request);
  request.method = toAbi("GET");
  request.host = toAbi("alice.matrix.test");
  request.handle = toAbi("alice");
  request.path = toAbi("/");
  request.scheme = toAbi("https");
  request.cookie = {toAbi("cookie"), toAbi(value)};
  request.fields = &request.cookie;
  request.fields_count = 1;
  request.answer = [](const mos_policy_request *self, const mos_policy_verdict *verdict) {
    const_cast<Bare *>(static_cast<const Bare *>(self))->verdict = verdict->verdict;
  };
  policy.table()->check(policy.table()->self, &request, nullptr);
  CHECK(request.verdict == MOS_VERDICT_ALLOW);
  const std::size_t before = allocations;
  for (int i = 0; i < 1000; ++i)
    policy.table()->check(policy.table()->self, &request, nullptr);
  CHECK(allocations == before);
}
