// What an audit log is told of requests, and that nobody is told of a change before it has it.
#include "HttpTestSupport.h"
#include "http/AuditTrail.h"

#include <matrixos/abi/audit.h>
#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <utility>

using namespace httptest;
using namespace matrixos;
using auth::Identity;

namespace {

/// "Bearer alice" is the user who owns the instance of that name, "Bearer op" an operator, and "Bearer seal …" one
/// if that is the body.
class Known final : public auth::Identities {
public:
  std::optional<Identity> identify(const auth::IdentityQuestion &question, const std::function<Then()> &) override {
    std::string token;
    for (const mos_pair &field : question.fields)
      if (fromAbi(field.key) == "Authorization") token = fromAbi(field.value);
    Identity who;
    if (token.substr(0, 12) == "Bearer seal ") {
      who.kind = !question.body                       ? Identity::Kind::Signed
                 : *question.body == token.substr(12) ? Identity::Kind::Operator
                                                      : Identity::Kind::Refused;
      who.id = who.kind == Identity::Kind::Refused ? "" : "sealer";
      who.reason = "BROKEN_SEAL";
      who.scopes = "*";
      return who;
    }
    if (token != "Bearer alice" && token != "Bearer op") return Identity{};
    who.kind = token == "Bearer op" ? Identity::Kind::Operator : Identity::Kind::User;
    who.id = token == "Bearer op" ? "token:deploy" : "user:alice";
    who.scopes = "*";
    who.role = question.handle == "alice" ? Identity::Role::Owner : Identity::Role::None;
    return who;
  }
};

class Trail final : public api::AuditTrail {
public:
  bool isOn() const noexcept override { return on; }
  std::string statusOf(std::string_view handle) noexcept override {
    return handle != "alice" ? "" : ran ? "running" : "stopped";
  }
  void record(const std::string &event, std::function<void()> then) noexcept override {
    const std::lock_guard lock(mutex_);
    recorded_.push_back(event);
    if (holds)
      held_.push_back(std::move(then));
    else
      then();
  }
  void note(const std::string &event) noexcept override {
    const std::lock_guard lock(mutex_);
    noted_.push_back(event);
  }
  std::vector<std::string> recorded() const {
    const std::lock_guard lock(mutex_);
    return recorded_;
  }
  std::vector<std::string> noted() const {
    const std::lock_guard lock(mutex_);
    return noted_;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    for (const auto &then : std::exchange(held_, {}))
      then();
  }

  std::atomic<bool> on{true}, holds{false}, ran{false};

private:
  mutable std::mutex mutex_;
  std::vector<std::string> recorded_, noted_;
  std::vector<std::function<void()>> held_;
};

struct Fixture {
  std::shared_ptr<Trail> trail = std::make_shared<Trail>();
  TestServer http{[this](api::ApiServerOptions &options) {
                    options.identities = std::make_shared<Known>();
                    options.audit = trail;
                  },
                  false};

  Fixture() {
    const auto ok = [this](const std::shared_ptr<api::ApiExchange> &exchange) {
      trail->ran = true;
      exchange->respond(200, "application/json", {}, R"({"ok":true})");
    };
    const auto stream = [](const std::shared_ptr<api::ApiExchange> &exchange) {
      exchange->begin(200, "text/plain", {});
      exchange->write("some");
      exchange->end();
    };
    const auto fails = [](const std::shared_ptr<api::ApiExchange> &) {
      throw Error(Status::NotFound, "there is none", "NO_SUCH");
    };
    http.server().addRoutes(
        7,
        {route("POST", "/boxes/:handle/start", ok, 0, "owner|operator"), route("GET", "/boxes/:handle", ok, 0, "owner"),
         route("POST", "/boxes", ok, 1000, "operator"), route("DELETE", "/boxes/:handle/parts/:id", fails, 0, "owner"),
         route("GET", "/boxes", ok, 0, "signed-in"), route("POST", "/hook", ok, 50000, "public"),
         route("POST", "/stream/:handle", stream, 0, "owner"), route("POST", "/auth/ask", ok, 100, "public"),
         route("GET", "/auth/of/:handle", ok, 0, "public"), route("POST", "/auth/leave", ok, 0, "signed-in")});
    http.server().start();
  }
  Answer send(const std::string &method, const std::string &path, const std::string &token,
              const std::string &body = {}) const {
    RawClient client(http.apiPath());
    client.send(request(method, path, token, body));
    return client.next();
  }
  static std::string request(const std::string &method, const std::string &path, const std::string &token,
                             const std::string &body = {}) {
    return method + " " + path + " HTTP/1.1\r\nHost: api\r\nX-Request-Id: r1\r\n" +
           (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
};

std::string member(const std::string &event, const std::string &name) {
  const json::Value value = json::parseObject(event)->get(name);
  return value.isEmpty() ? "" : !value.isString() ? json::dump(value) : value.convert<std::string>();
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "a change is told with who, what, where, before and after") {
  CHECK(send("POST", "/boxes/alice/start", "alice").status == 200);
  REQUIRE(trail->recorded().size() == 1);
  const std::string event = trail->recorded().front();
  CHECK(member(event, "action") == "POST /boxes/:handle/start");
  CHECK(member(event, "principal") == "user:alice");
  CHECK(member(event, "kind") == "user");
  CHECK(member(event, "address") == "unix");
  CHECK(member(event, "requestId") == "r1");
  CHECK(member(event, "handle") == "alice");
  CHECK(member(event, "status") == "200");
  CHECK(member(event, "before") == "stopped");
  CHECK(member(event, "after") == "running");
  CHECK(member(event, "target") == R"({"handle":"alice"})");
  CHECK(trail->noted().empty());
}

TEST_CASE_FIXTURE(Fixture, "nobody is told of a change before the log has it") {
  trail->holds = true;
  RawClient client(http.apiPath());
  client.send(request("POST", "/boxes/alice/start", "alice") + get("/hello"));
  REQUIRE(eventually([&] { return trail->recorded().size() == 1; }));
  CHECK(trail->ran);
  // What does not change anything is answered meanwhile, and so is nothing on this connection.
  CHECK(send("GET", "/boxes", "alice").status == 200);
  CHECK(client.some(50ms).empty());
  trail->release();
  CHECK(client.next().body == R"({"ok":true})");
  CHECK(client.next().body == "hello");
  // One that leaves meanwhile is forgotten.
  RawClient gone(http.apiPath());
  gone.send(request("POST", "/boxes/alice/start", "alice"));
  REQUIRE(eventually([&] { return trail->recorded().size() == 2; }));
  gone.close();
  CHECK(eventually([&] { return http.server().openRequests() == 0; }));
  trail->release();
  CHECK(send("GET", "/hello", "").status == 200);
  CHECK(trail->noted().empty());
}

TEST_CASE_FIXTURE(Fixture, "a failure is told with its reason, and what the path names") {
  CHECK(send("DELETE", "/boxes/alice/parts/p1", "alice").status == 404);
  const std::string event = trail->recorded().at(0);
  CHECK(member(event, "status") == "404");
  CHECK(member(event, "reason") == "NO_SUCH");
  CHECK(member(event, "target") == R"({"handle":"alice","id":"p1"})");
}

TEST_CASE_FIXTURE(Fixture, "who is refused is told, and waits for nobody") {
  trail->holds = true;
  CHECK(send("POST", "/boxes/bobby/start", "alice").status == 403);
  CHECK(send("POST", "/boxes/bobby/start", "wrong").status == 401);
  CHECK(send("POST", "/boxes/bobby/start", "").status == 401);
  REQUIRE(eventually([&] { return trail->noted().size() == 3; }));
  CHECK(member(trail->noted()[0], "principal") == "user:alice");
  CHECK(member(trail->noted()[0], "reason") == "FORBIDDEN");
  CHECK(member(trail->noted()[0], "status") == "403");
  CHECK(member(trail->noted()[0], "handle") == "bobby");
  CHECK(member(trail->noted()[1], "principal").empty());
  CHECK(member(trail->noted()[1], "kind") == "public");
  CHECK(member(trail->noted()[1], "reason") == "WRONG_SECRET");
  CHECK(trail->recorded().empty());
}

TEST_CASE_FIXTURE(Fixture, "who signs the body is told once that is known, and so is who signs badly") {
  const std::string body = R"({"handle":"carol"})";
  CHECK(send("POST", "/boxes", "seal " + body, body).status == 200);
  const std::string event = trail->recorded().at(0);
  CHECK(member(event, "principal") == "sealer");
  CHECK(member(event, "kind") == "operator");
  CHECK(member(event, "given") == R"({"handle":"carol"})");
  CHECK(send("POST", "/boxes", "seal wax", body).status == 401);
  REQUIRE(eventually([&] { return trail->noted().size() == 1; }));
  CHECK(member(trail->noted()[0], "reason") == "BROKEN_SEAL");
  CHECK(member(trail->noted()[0], "kind") == "public");
  CHECK(trail->recorded().size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "what operators read about an instance is told; what its owner reads is not") {
  CHECK(send("GET", "/boxes/alice", "alice").status == 200);
  CHECK(send("GET", "/boxes", "op").status == 200);
  CHECK(send("GET", "/boxes/bobby", "wrong").status == 401);
  CHECK(send("GET", "/boxes/alice", kSecret).status == 200);
  REQUIRE(eventually([&] { return trail->noted().size() == 1; }));
  CHECK(member(trail->noted()[0], "principal") == "admin");
  CHECK(member(trail->noted()[0], "action") == "GET /boxes/:handle");
  CHECK(trail->recorded().empty());
}

TEST_CASE_FIXTURE(Fixture, "of a body an allow-list is kept, as the handler understands it") {
  CHECK(
      send(
          "POST", "/boxes", kSecret,
          R"({"handle":"decoy","h\u0061ndle":"carol","clerkUserId":"u1","role":"use","scopes":["a","b"],"token":"s3"})")
          .status == 200);
  CHECK(send("POST", "/boxes", kSecret, "no JSON, s3").status == 200);
  CHECK(send("POST", "/boxes", kSecret, std::string(1001, 'x')).status == 413);
  const std::string event = trail->recorded().at(0);
  CHECK(member(event, "handle") == "carol");
  CHECK(member(event, "given") == R"({"clerkUserId":"u1","handle":"carol","role":"use","scopes":"[\"a\",\"b\"]"})");
  for (const std::string &one : trail->recorded())
    CHECK(one.find("s3") == std::string::npos);
  REQUIRE(eventually([&] { return trail->noted().size() == 1; }));
  CHECK(member(trail->noted()[0], "status") == "413");
}

TEST_CASE_FIXTURE(Fixture, "nothing that a client sends makes an event too long, or no JSON") {
  std::string wide;
  for (int i = 0; i < 700; ++i)
    wide += i % 2 == 0 ? "\\\"" : "\\u0001";
  std::string body = "{";
  for (const char *name : {"handle", "clerkUserId", "role", "name", "scopes"})
    body += std::string(body.size() > 1 ? "," : "") + "\"" + name + "\":\"" + wide + "\"";
  CHECK(send("POST", "/hook", "", body + "}").status == 200);
  std::string quotes;
  for (int i = 0; i < 1000; ++i)
    quotes += "%22";
  CHECK(send("DELETE", "/boxes/alice/parts/" + quotes, "alice").status == 404);
  REQUIRE(trail->recorded().size() == 2);
  for (const std::string &event : trail->recorded()) {
    CHECK(event.size() < MOS_AUDIT_EVENT_SIZE);
    CHECK_NOTHROW(json::parseObject(event));
  }
  CHECK(member(trail->recorded()[0], "given") != "");
}

TEST_CASE_FIXTURE(Fixture, "an answer in pieces is told at its end; the public, too, may change things") {
  CHECK(send("POST", "/stream/alice", "alice").status == 200);
  REQUIRE(eventually([&] { return trail->noted().size() == 1; }));
  CHECK(member(trail->noted()[0], "action") == "POST /stream/:handle");
  CHECK(send("POST", "/hook", "").status == 200);
  CHECK(member(trail->recorded().at(0), "kind") == "public");
}

TEST_CASE_FIXTURE(Fixture, "what comes of signing in is told by who signs people in, who leaves is told here") {
  for (const char *token : {"", "wrong", "alice", "op"})
    CHECK(send("POST", "/auth/ask", token).status == 200);
  CHECK(send("POST", "/auth/ask", "", std::string(101, 'x')).status == 413);
  CHECK(send("GET", "/auth/of/alice", "op").status == 200);
  CHECK(send("POST", "/auth/leave", "alice").status == 200);
  CHECK(trail->recorded().size() == 1);
  CHECK(member(trail->recorded().at(0), "action") == "POST /auth/leave");
  CHECK(send("POST", "/auth/leave", "").status == 401);
  REQUIRE(eventually([&] { return !trail->noted().empty(); }));
  CHECK(trail->noted().size() == 1);
  CHECK(member(trail->noted().at(0), "action") == "POST /auth/leave");
}

TEST_CASE_FIXTURE(Fixture, "the client is the peer, or who the daemon's own proxy names") {
  const auto addressOf = [&](RawClient &&client, const std::string &field) {
    const std::size_t before = trail->recorded().size();
    client.send("POST /hook HTTP/1.1\r\nHost: api\r\n" + field + "Content-Length: 0\r\n\r\n");
    CHECK(client.next().status == 200);
    return member(trail->recorded().at(before), "address");
  };
  const std::string named = "X-Forwarded-For: 203.0.113.7\r\n";
  CHECK(addressOf(RawClient(http.port()), named) == "127.0.0.1");
  CHECK(addressOf(RawClient(http.apiPath()), named) == "203.0.113.7");
  CHECK(addressOf(RawClient(http.apiPath()), "X-Forwarded-For: nobody\r\n") == "unix");
  CHECK(addressOf(RawClient(http.adminPath()), named) == "unix");
}

TEST_CASE_FIXTURE(Fixture, "where nobody keeps anything, nothing is told") {
  trail->on = false;
  CHECK(send("POST", "/boxes/alice/start", "alice").status == 200);
  CHECK(send("POST", "/boxes/alice/start", "").status == 401);
  CHECK(send("GET", "/boxes/alice", kSecret).status == 200);
  CHECK(trail->recorded().empty());
  CHECK(trail->noted().empty());
}
