// The policy stage: who passes, what is added, and that what goes wrong denies.
#include "Kit.h"
#include "support/Wait.h"

#include <matrixos/policy.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

using namespace kit;
using matrixos::PolicyRequest;
using matrixos::PolicyVerdict;
using matrixos::test::eventually;

namespace {

/// Does what the test says.
class Scripted : public matrixos::Policy {
public:
  std::function<PolicyVerdict(const PolicyRequest &)> says = [](const PolicyRequest &) {
    return PolicyVerdict::allow();
  };
  PolicyVerdict check(const PolicyRequest &request) override {
    ++asked;
    return says(request);
  }
  std::atomic<int> asked{0};
};

/// Finds out in another thread.
class Slow final : public matrixos::Policy {
public:
  ~Slow() override {
    for (std::thread &thread : threads_)
      thread.join();
  }
  PolicyVerdict check(const PolicyRequest &) override { return PolicyVerdict::pending(); }
  void decide(const matrixos::Call &, const PolicyRequest &request, matrixos::Completion &done) override {
    const std::string answer = request.path() == "/denied" ? PolicyVerdict::deny(451, "not \"here\"").json()
                               : request.path() == "/nonsense"
                                   ? "{\"verdict\":\"perhaps\"}"
                                   : PolicyVerdict::allow("user:slow", {{"X-Slow", "yes"}}).json();
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([answer, later = std::move(done)]() mutable { later.succeed(answer); });
  }

private:
  std::mutex mutex_;
  std::list<std::thread> threads_;
};

/// All that a policy sees of a request.
std::string textOf(const PolicyRequest &r) {
  std::string out;
  for (const std::string_view part :
       {r.method(), r.scheme(), r.host(), r.handle(), r.path(), r.query(), r.client(), r.requestId()})
    out.append(part).append("|");
  r.eachField([&](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("|");
    return true;
  });
  return out + (r.isWebSocket() ? "WebSocket" : "");
}

/// Begins what does not end by itself: a WebSocket, an answer whose rest does not come, one that does not begin.
void goOn(Conn &conn) {
  const std::string head = conn.readHead();
  if (head.find(" /ws") != std::string::npos)
    conn.send("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
              "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  else if (head.find(" /answer") != std::string::npos)
    conn.send("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n");
  for (std::string byte = conn.readExactly(1); !byte.empty(); byte = conn.readExactly(1))
    conn.send(byte);
}

/// They are called p0, p1, … or, from another number on, after that.
std::function<void(matrixos::proxy::ProxyOptions &)> with(const std::vector<const matrixos::Policy *> &policies,
                                                          std::size_t from = 0) {
  std::vector<matrixos::proxy::PolicyChain::Link> links;
  for (const matrixos::Policy *policy : policies)
    links.push_back({"p" + std::to_string(from + links.size()), policy->table()});
  return [links](auto &options) { options.policies = std::make_shared<matrixos::proxy::PolicyChain>(links); };
}

const std::string kShake = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A WebSocket to alice, which goOn() serves.
Conn openSocket(ProxyFixture &fixture) {
  Conn conn = fixture.connect();
  conn.send("GET /ws HTTP/1.1\r\nHost: alice.localhost\r\n" + kShake + "\r\n");
  CHECK(conn.readHead().find("HTTP/1.1 101") == 0);
  return conn;
}

bool echoes(Conn &conn) {
  const std::string text("\x81\x85mask\x05\x04\x1f\x07\x02", 11);
  return conn.send(text) && conn.readExactly(text.size()) == text;
}

/// It has been asked about what goes on some times from here on.
bool looksOn(const Scripted &policy) {
  return eventually([&, before = policy.asked.load()] { return policy.asked >= before + 2; });
}

} // namespace

TEST_CASE("policies are asked in their order, see the request, and add to it; the first refusal ends it") {
  Upstream shell(Upstream::echo);
  Scripted first, second;
  std::string seen;
  first.says = [&](const PolicyRequest &r) {
    seen = std::string(r.method()) + " " + std::string(r.scheme()) + "://" + std::string(r.host()) + " " +
           std::string(r.handle()) + " " + std::string(r.path()) + "?" + std::string(r.query()) + " " +
           std::string(r.client()) + " " + std::string(r.header("x-key")) + (r.isByPath() ? " by path" : "") +
           (r.isNavigation() ? " navigates" : "");
    return PolicyVerdict::allow("user:2abc", {{"X-Matrix-User", "2abc"}, {"X-Own", "one"}});
  };
  second.says = [](const PolicyRequest &r) {
    if (r.path() == "/closed") return PolicyVerdict::deny(401, "sign in first", {{"WWW-Authenticate", "Bearer"}});
    if (r.path() == "/away") return PolicyVerdict::redirect("https://console.matrix.test/", {{"Set-Cookie", "n=1"}});
    return PolicyVerdict::allow({}, {{"X-Role", "owner"}});
  };
  ProxyFixture f(with({&first, &second}));
  f.instance("alice", "running", shell.port(), shell.port());
  Conn conn = f.connect();
  const auto passed = conn.get("/a%20b?c=d", "alice.localhost",
                               "X-Key: 7\r\nx_matrix.user: eve\r\nX-MATRIX-EMAIL: eve@example.com\r\nx-own: eve\r\n"
                               "X_Role: operator\r\n");
  CHECK(passed.status == 200);
  CHECK(seen == "GET http://alice.localhost alice /a%20b?c=d 127.0.0.1 7");
  CHECK(passed.body.find("X-Matrix-User: 2abc\r\n") != std::string::npos);
  CHECK(passed.body.find("X-Own: one\r\n") != std::string::npos);
  CHECK(passed.body.find("X-Role: owner\r\n") != std::string::npos);
  for (const char *claim : {"eve", "operator", "X-MATRIX-EMAIL", "X_Role", "x_matrix"})
    CHECK(passed.body.find(claim) == std::string::npos);
  CHECK(conn.get("/proxy/alice/api/x", "localhost").status == 200);
  CHECK(seen == "GET http://localhost alice /api/x? 127.0.0.1  by path");

  const auto closed = conn.get("/closed", "alice.localhost");
  CHECK(closed.status == 401);
  CHECK(closed.field("WWW-Authenticate") == "Bearer");
  CHECK(closed.body.find("sign in first") != std::string::npos);
  const auto away = conn.get("/away", "alice.localhost");
  CHECK(away.status == 302);
  CHECK(away.field("Location") == "https://console.matrix.test/");
  CHECK(away.field("Set-Cookie") == "n=1");
  CHECK(away.field("Cache-Control") == "no-store");

  // Who may not pass does not learn who is here.
  CHECK(conn.get("/closed", "nobody.localhost").status == 401);
  CHECK(conn.get("/", "nobody.localhost").status == 404);
  first.says = [](const PolicyRequest &) { return PolicyVerdict::deny(403, "no"); };
  const int before = second.asked;
  CHECK(conn.get("/", "alice.localhost").status == 403);
  CHECK(second.asked == before);
}

TEST_CASE("a request that may not pass wakes nobody") {
  Scripted policy;
  policy.says = [](const PolicyRequest &) { return PolicyVerdict::deny(403, "no"); };
  ProxyFixture f(with({&policy}));
  f.instance("alice", "stopped");
  CHECK(f.connect().get("/", "alice.localhost").status == 403);
  CHECK(f.waker.waiting() == 0);
}

TEST_CASE("the API has rules of its own") {
  Scripted policy;
  policy.says = [](const PolicyRequest &) { return PolicyVerdict::deny(403, "no"); };
  ProxyFixture f(with({&policy}));
  CHECK(f.connect().get("/health", "localhost").status == 503); // the API is not served here
  CHECK(policy.asked == 0);
}

TEST_CASE("a policy may take its time") {
  Upstream shell(Upstream::echo);
  Slow slow;
  Scripted last;
  ProxyFixture f(with({&slow, &last}));
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  for (int i = 0; i < 20; ++i) {
    const auto passed = conn.get("/", "alice.localhost");
    CHECK(passed.status == 200);
    CHECK(passed.body.find("X-Slow: yes") != std::string::npos);
    CHECK(last.asked == 2 * i + 1);
    const auto denied = conn.get("/denied", "alice.localhost");
    CHECK(denied.status == 451);
    CHECK(denied.body.find("not \\\"here\\\"") != std::string::npos);
    CHECK(conn.get("/denied", "nobody.localhost").status == 451);
    CHECK(conn.get("/nonsense", "alice.localhost").status == 503);
    CHECK(conn.get("/", "nobody.localhost").status == 404);
  }
}

TEST_CASE("what goes on is asked about again, and ends when it is not allowed any more, or to somebody else alone") {
  struct Seen {
    std::string asked, again;
    int times = 0;
    PolicyVerdict now = PolicyVerdict::allow("user:a");
  };
  std::mutex mutex;
  std::map<std::string, Seen> all; // by the query
  Scripted policy;
  policy.says = [&](const PolicyRequest &r) {
    const std::lock_guard lock(mutex);
    Seen &seen = all[std::string(r.query())];
    if (!r.isStanding()) return seen.asked = textOf(r), PolicyVerdict::allow("user:a", {{"X-Matrix-User", "a"}});
    return seen.again = textOf(r), ++seen.times, seen.now;
  };
  const auto say = [&](const std::string &query, const PolicyVerdict &verdict) {
    const std::lock_guard lock(mutex);
    all[query].now = verdict;
    all[query].times = 0;
  };
  const auto askedAgain = [&](const std::string &query) {
    return eventually([&] {
      const std::lock_guard lock(mutex);
      return all[query].times >= 2;
    });
  };
  Upstream shell(goOn);
  ProxyFixture f(with({&policy}));
  f.instance("alice", "running", shell.port(), shell.port());
  const PolicyVerdict ends[] = {PolicyVerdict::deny(401, "gone"), PolicyVerdict::redirect("/in"),
                                PolicyVerdict::allow(), PolicyVerdict::allow("user:b")};
  std::map<std::string, Conn> conns;
  for (const std::string path : {"/ws", "/answer", "/silence"}) {
    for (std::size_t end = 0; end < std::size(ends); ++end) {
      Conn &conn = conns.emplace(path + std::to_string(end), f.connect()).first->second;
      conn.send("GET " + path + "?" + path + std::to_string(end) +
                " HTTP/1.1\r\nHost: alice.localhost\r\nCookie: a=1\r\n" + (path == "/ws" ? kShake : "") + "\r\n");
      if (path != "/silence") CHECK(conn.readHead().find("HTTP/1.1 ") == 0);
    }
  }
  for (auto &[query, conn] : conns) {
    CHECK(askedAgain(query));
    const std::lock_guard lock(mutex);
    CHECK(all[query].asked == all[query].again);
  }
  for (auto &[query, conn] : conns)
    say(query, PolicyVerdict::pending()); // leaves it as it is
  for (auto &[query, conn] : conns) {
    CHECK(askedAgain(query));
    if (query.find("/ws") == 0) CHECK(echoes(conn));
  }
  for (auto &[query, conn] : conns)
    say(query, ends[query.back() - '0']);
  for (auto &[query, conn] : conns)
    CHECK_MESSAGE(conn.ends(), query);
  CHECK(eventually([&] { return f.proxy->connections() == 0; }));
}

TEST_CASE("who is shut out while he waits for an instance to start does not get in") {
  const auto fails = []() -> PolicyVerdict { throw std::runtime_error("it does not run"); };
  const struct {
    std::function<PolicyVerdict()> now;
    int status;
    const char *field, *value;
  } rows[] = {
      {[] {
         return PolicyVerdict::deny(401, "gone", {{"WWW-Authenticate", "Bearer"}});
       },
       401, "WWW-Authenticate", "Bearer"},
      {[] { return PolicyVerdict::deny(403, "no"); }, 403, "Content-Type", "application/problem+json"},
      {[] { return PolicyVerdict::redirect("/in"); }, 302, "Location", "/in"},
      {fails, 503, "Retry-After", "5"},
      {[] { return PolicyVerdict::allow("user:b"); }, 403, "Content-Type", "application/problem+json"},
      {[] { return PolicyVerdict::allow(); }, 403, "Content-Type", "application/problem+json"},
      {[] { return PolicyVerdict::pending(); }, 200, "Content-Type", "text/plain"},
      {[] { return PolicyVerdict::allow("user:a"); }, 200, "Content-Type", "text/plain"},
  };
  for (const auto &row : rows) {
    Upstream shell(Upstream::echo);
    Scripted policy;
    policy.says = [](const PolicyRequest &) { return PolicyVerdict::allow("user:a", {{"X-Matrix-User", "a"}}); };
    ProxyFixture f(with({&policy}));
    f.instance("alice", "stopped");
    Conn conn = f.connect();
    conn.send("GET /secret HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
    policy.says = [&](const PolicyRequest &r) {
      CHECK(r.isStanding());
      return row.now();
    };
    f.waker.answer({matrixos::Status::Ok, wakeJson("alice", shell.port()), ""});
    const auto answer = conn.readResponse();
    CHECK(answer.status == row.status);
    CHECK(answer.field(row.field) == row.value);
    CHECK(shell.accepted() == (row.status == 200 ? 1 : 0));
    if (row.status == 200) CHECK(answer.body.find("X-Matrix-User: a\r\n") != std::string::npos);
  }
}

TEST_CASE("a policy that comes decides about what is open, too, and one that goes does no longer") {
  Upstream shell(goOn);
  Scripted names, closes, allows;
  std::atomic<bool> gone{false};
  names.says = [&](const PolicyRequest &) {
    if (gone) throw std::runtime_error("it does not run");
    return PolicyVerdict::allow("user:a");
  };
  closes.says = [](const PolicyRequest &) { return PolicyVerdict::deny(403, "no"); };
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  Conn before = openSocket(f);
  f.reconfigure(with({&allows}));
  CHECK(looksOn(allows));
  CHECK(echoes(before));
  f.reconfigure(with({&names}));
  CHECK(before.ends()); // the instance was not told who it is
  Conn named = openSocket(f);
  f.reconfigure(with({&allows}, 1));
  gone = true;
  CHECK(looksOn(allows));
  CHECK(echoes(named));
  f.reconfigure(with({}));
  CHECK(echoes(named));
  f.reconfigure(with({&closes}, 2));
  CHECK(named.ends());
}

TEST_CASE("a policy that fails for a moment ends nothing that goes on; one that stays away does") {
  Upstream shell(goOn);
  Scripted policy, second;
  std::atomic<bool> fails{false}, denies{false};
  policy.says = [&](const PolicyRequest &) {
    if (fails) throw std::runtime_error("it does not run");
    return PolicyVerdict::allow("user:a");
  };
  second.says = [&](const PolicyRequest &) {
    return denies ? PolicyVerdict::deny(403, "no") : PolicyVerdict::allow("user:second");
  };
  ProxyFixture f(with({&policy, &second}));
  f.instance("alice", "running", shell.port(), shell.port());
  Conn conn = openSocket(f);
  for (const bool now : {true, false}) {
    fails = now;
    CHECK(looksOn(policy));
    CHECK(echoes(conn));
  }
  fails = true;
  CHECK(conn.ends());
  // What another one denies ends at once.
  fails = false;
  Conn other = openSocket(f);
  fails = denies = true;
  const int asked = policy.asked;
  CHECK(other.ends());
  CHECK(policy.asked - asked <= 2);
}

TEST_CASE("one policy that has to find out hides nothing of what another one says") {
  Upstream shell(goOn);
  Scripted pending, names;
  std::atomic<bool> other{false};
  pending.says = [](const PolicyRequest &r) {
    return r.isStanding() ? PolicyVerdict::pending() : PolicyVerdict::allow();
  };
  names.says = [&](const PolicyRequest &) { return PolicyVerdict::allow(other ? "user:b" : "user:a"); };
  for (const auto &policies : {std::vector<const matrixos::Policy *>{&names, &pending}, {&pending, &names}}) {
    other = false;
    ProxyFixture f(with(policies));
    f.instance("alice", "running", shell.port(), shell.port());
    Conn conn = openSocket(f);
    CHECK(looksOn(names));
    CHECK(echoes(conn));
    other = true;
    CHECK(conn.ends());
  }
  // Who has named the client and has to find out again stays with it.
  other = false;
  Slow slow;
  ProxyFixture f(with({&slow, &names}));
  f.instance("alice", "running", shell.port(), shell.port());
  Conn conn = openSocket(f);
  other = true;
  CHECK(looksOn(names));
  CHECK(echoes(conn));
}

TEST_CASE("what a policy cannot say, and what cannot be followed, denies") {
  Upstream shell(Upstream::echo);
  mos_policy_v1 table{};
  table.struct_size = sizeof table;
  static const mos_policy_verdict *verdict = nullptr;
  static int answers = 1;
  table.check = [](void *, const mos_policy_request *request, mos_error *) -> mos_status {
    for (int i = 0; i < answers; ++i)
      request->answer(request, verdict);
    return MOS_OK;
  };
  table.decide = [](void *, const mos_call *, const mos_policy_request *, mos_completion, mos_error *error) {
    return matrixos::fail(error, matrixos::Status::Unavailable, "gone");
  };
  ProxyFixture f([&](auto &options) {
    options.policies = std::make_shared<matrixos::proxy::PolicyChain>(
        std::vector<matrixos::proxy::PolicyChain::Link>{{"odd", &table}});
  });
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  mos_policy_verdict given{};
  const auto statusOf = [&](std::uint32_t kind, auto &&change) {
    given = {};
    given.struct_size = sizeof given;
    given.verdict = kind;
    change(given);
    verdict = &given;
    return conn.get("/", "alice.localhost").status;
  };
  using V = mos_policy_verdict;
  CHECK(statusOf(MOS_VERDICT_ALLOW, [](V &) {}) == 200);
  CHECK(statusOf(0, [](V &) {}) == 503);
  CHECK(statusOf(9, [](V &) {}) == 503);
  CHECK(statusOf(MOS_VERDICT_PENDING, [](V &) {}) == 503);
  CHECK(statusOf(MOS_VERDICT_ALLOW, [](V &v) { v.struct_size = 8; }) == 503);
  CHECK(statusOf(MOS_VERDICT_DENY, [](V &) {}) == 403);
  CHECK(statusOf(MOS_VERDICT_DENY, [](V &v) { v.status = 200; }) == 503);
  CHECK(statusOf(MOS_VERDICT_REDIRECT, [](V &) {}) == 503);
  for (const char *location : {"//evil.example", "javascript:alert(1)", "/a b", "/a\r\nX: y", "evil", "/\\evil"})
    CHECK(statusOf(MOS_VERDICT_REDIRECT, [&](V &v) { v.location = matrixos::toAbi(location); }) == 503);
  CHECK(statusOf(MOS_VERDICT_REDIRECT, [](V &v) { v.location = matrixos::toAbi("/in"); }) == 302);
  mos_pair field{};
  const auto fields = [&](const char *name, const char *value) {
    field = {matrixos::toAbi(name), matrixos::toAbi(value)};
    return statusOf(MOS_VERDICT_ALLOW, [&](V &v) {
      v.fields = &field;
      v.fields_count = 1;
    });
  };
  CHECK(fields("X-Fine", "yes") == 200);
  for (const char *name : {"", "a b", "Host", "content-LENGTH", "Transfer-Encoding", "Connection", "X-Forwarded-For",
                           "Cookie", "Proxy-Authorization", "X:"})
    CHECK(fields(name, "x") == 503);
  CHECK(fields("X-Split", "a\r\nX-Other: b") == 503);
  CHECK(statusOf(MOS_VERDICT_ALLOW, [&](V &v) {
          v.fields = &field;
          v.fields_count = 1000;
        }) == 503);
  answers = 2; // which of both?
  CHECK(statusOf(MOS_VERDICT_ALLOW, [](V &) {}) == 503);
  answers = 0;
  CHECK(statusOf(MOS_VERDICT_ALLOW, [](V &) {}) == 503);
}
