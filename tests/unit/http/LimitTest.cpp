// How often a client, and who asks, may come.
#include "HttpTestSupport.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <optional>

using namespace httptest;
using namespace matrixos;
using api::Limit;

namespace {

/// Nothing comes back while a test runs.
constexpr Rate perDay(std::uint32_t count) {
  return {count, 86'400'000};
}

/// Knows each token as a user, but "wrong".
class Users final : public auth::Identities {
public:
  std::optional<auth::Identity> identify(const auth::IdentityQuestion &question,
                                         const std::function<Then()> &) override {
    auth::Identity who;
    for (const mos_pair &field : question.fields) {
      if (fromAbi(field.key) != "Authorization") continue;
      const std::string_view value = fromAbi(field.value);
      who.id = "user:" + std::string(value.substr(7));
      who.kind = value == "Bearer wrong" ? auth::Identity::Kind::Refused : auth::Identity::Kind::User;
    }
    return who;
  }
};

struct Limited {
  explicit Limited(std::vector<std::pair<Limit, std::uint32_t>> limits)
      : http([&](api::ApiServerOptions &options) {
          for (const auto &[limit, count] : limits)
            options.limits[static_cast<std::size_t>(limit)] = perDay(count);
          options.identities = std::make_shared<Users>();
          options.domain = "matrix.test";
          auth::Authenticator::Options login;
          login.secret = kSecret;
          login.metricsToken = "meter";
          login.ownUid = ::getuid();
          options.authenticator = std::make_shared<auth::Authenticator>(login);
        }) {
    const auto say = [](const auto &exchange) { exchange->respond(200, "text/plain", {}, "well"); };
    http.server().addRoutes(
        0, {route("GET", "/health", say), route("GET", "/ready", say), route("GET", "/metrics", say, 0, "metrics")});
    http.server().addRoutes(7,
                            {route("POST", "/auth/login", say), route("POST", "//console/auth/login", say),
                             route("GET", "/auth", say), route("GET", "/authors", say),
                             route("GET", "/auth/sessions", say, 0, "signed-in"), route("POST", "/webhooks/clerk", say),
                             route("GET", "/me", say, 0, "signed-in"), route("PUT", "/me", say, 0, "signed-in")});
  }

  Answer ask(const std::string &start, const std::string &fields = {}, bool overTcp = false) {
    RawClient client = overTcp ? RawClient(http.port()) : RawClient(http.apiPath());
    const bool site = fields.find("Host:") != std::string::npos;
    client.send(start + " HTTP/1.1\r\n" + (site ? "" : "Host: api\r\n") + fields + "\r\n");
    return client.next();
  }
  int status(const std::string &start, const std::string &fields = {}) { return ask(start, fields).status; }

  TestServer http;
};

std::string from(const std::string &address) {
  return "X-Forwarded-For: " + address + "\r\n";
}

std::string as(const std::string &token) {
  return "Authorization: Bearer " + token + "\r\n";
}

} // namespace

TEST_CASE("too many requests from one address: 429, with what the limit is and when to come again") {
  Limited test({{Limit::Address, 3}});
  for (int i = 0; i < 3; ++i) {
    const Answer answer = test.ask("GET /hello", {}, true);
    CHECK(answer.status == 200);
    CHECK(answer.field("RateLimit").empty());
  }
  const Answer refused = test.ask("GET /hello", {}, true);
  CHECK(refused.status == 429);
  CHECK(refused.field("Content-Type") == "application/problem+json");
  CHECK(refused.field("RateLimit-Policy") == R"("address";q=3;w=86400)");
  const std::string seconds = refused.field("Retry-After");
  CHECK(std::stoi(seconds) <= 28800);
  CHECK(std::stoi(seconds) > 0);
  CHECK(refused.field("RateLimit") == R"("address";r=0;t=)" + seconds);
  CHECK(refused.body.find("\"error\":\"too many requests from this address: at most 3 in 86400 s; try again in " +
                          seconds + " s\",\"reason\":\"RATE_LIMITED\"") != std::string::npos);
  CHECK(test.http.served == 3);
  CHECK(eventually([&] { return test.http.accesses().size() == 4; }));
  CHECK(test.http.accesses().back().status == 429);
  CHECK(test.http.accesses().back().limit == "address");
  CHECK(test.http.accesses().back().limited == "127.0.0.1");
}

TEST_CASE("an operator is never locked out, and what balancers and monitoring ask is never refused") {
  Limited test({{Limit::Address, 1}, {Limit::Principal, 1}, {Limit::Writes, 1}});
  CHECK(test.status("GET /hello") == 200);
  CHECK(test.status("GET /hello") == 429);
  for (int i = 0; i < 5; ++i) {
    CHECK(test.status("GET /admin-only", bearer()) == 200);
    CHECK(test.status("POST /nobody", bearer()) == 204);
    CHECK(test.status("GET /nothing", bearer()) == 404);
    RawClient admin(test.http.adminPath());
    admin.send(get("/admin-only") + get("/hello") + get("/nothing"));
    CHECK(admin.next().status == 200);
    CHECK(admin.next().status == 200);
    CHECK(admin.next().status == 404);
    for (const char *path : {"/health", "/ready"})
      CHECK(test.status(std::string("GET ") + path) == 200);
    CHECK(test.status("GET /metrics", as("meter")) == 200);
    CHECK(test.status("GET /metrics", as("metre")) == 429);
  }
}

TEST_CASE("whatever is asked for counts for the address") {
  Limited test({{Limit::Address, 4}});
  CHECK(test.status("GET /nothing") == 404);
  CHECK(test.status("PUT /hello") == 405);
  CHECK(test.status("OPTIONS /hello") == 204);
  CHECK(test.status("OPTIONS *") == 204);
  for (const char *start : {"GET /nothing", "PUT /hello", "OPTIONS /hello", "OPTIONS *", "GET /hello", "GET /me"})
    CHECK(test.status(start) == 429);
}

TEST_CASE("a client is an IPv4 address, an IPv6 /64, or this machine; what cannot be told apart is one") {
  struct Row {
    const char *fields;
    bool isNew;
  };
  Limited test({{Limit::Address, 1}});
  for (const Row &row : {Row{"X-Forwarded-For: 203.0.113.7\r\n", true},
                         {"X-Forwarded-For: 203.0.113.8\r\n", true},
                         {"X-Forwarded-For: 203.0.113.7\r\n", false},
                         {"X-Forwarded-For: ::ffff:203.0.113.7\r\n", false},
                         {"X-Forwarded-For: 2001:db8:0:1::7\r\n", true},
                         {"X-Forwarded-For: 2001:db8:0:1:ffff::9\r\n", false},
                         {"X-Forwarded-For: 2001:db8:0:2::7\r\n", true},
                         {"X-Forwarded-For: 127.0.0.1\r\n", true},
                         {"X-Forwarded-For: 127.9.8.7\r\n", false},
                         {"X-Forwarded-For: ::1\r\n", false},
                         {"", true},
                         {"X-Forwarded-For: 203.0.113.9, 203.0.113.10\r\n", false},
                         {"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.9\r\n", false},
                         {"X-Forwarded-For: nobody\r\n", false},
                         {"Forwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n", false}}) {
    CAPTURE(row.fields);
    CHECK(test.status("GET /hello", row.fields) == (row.isNew ? 200 : 429));
  }
  // On TCP nobody is believed.
  CHECK(test.ask("GET /hello", from("203.0.113.20"), true).status == 429);
}

TEST_CASE("who asks has limits of his own, wherever he comes from") {
  Limited test({{Limit::Principal, 2}});
  CHECK(test.status("GET /me", as("ann") + from("203.0.113.1")) == 200);
  CHECK(test.status("GET /me", as("ann") + from("203.0.113.2")) == 200);
  const Answer refused = test.ask("GET /me", as("ann") + from("203.0.113.3"));
  CHECK(refused.status == 429);
  CHECK(refused.field("RateLimit-Policy") == R"("principal";q=2;w=86400)");
  CHECK(refused.body.find("too many requests by you: at most 2 in 86400 s") != std::string::npos);
  CHECK(test.status("GET /me", as("bob") + from("203.0.113.3")) == 200);
  CHECK(eventually([&] { return test.http.accesses().size() == 4; }));
  CHECK(test.http.accesses().at(2).limited == "user:ann");
  CHECK(test.http.accesses().at(2).principal == "user:ann");
}

TEST_CASE("changes are counted for who makes them, or for the address; each answer says how many are left") {
  Limited test({{Limit::Writes, 2}});
  const Answer first = test.ask("PUT /me", as("ann"));
  CHECK(first.status == 200);
  CHECK(first.field("RateLimit-Policy") == R"("writes";q=2;w=86400)");
  CHECK(first.field("RateLimit").find(R"("writes";r=1;t=)") == 0);
  CHECK(test.status("PUT /me", as("ann")) == 200);
  CHECK(test.status("PUT /me", as("ann")) == 429);
  CHECK(test.status("PUT /me", as("bob")) == 200);
  const Answer read = test.ask("GET /me", as("ann"));
  CHECK(read.status == 200);
  CHECK(read.field("RateLimit").empty());
  // Nobody in particular.
  CHECK(test.status("POST /nobody", from("203.0.113.1")) == 204);
  CHECK(test.status("POST /nobody", from("203.0.113.1")) == 204);
  CHECK(test.status("POST /nobody", from("203.0.113.1")) == 429);
  CHECK(test.status("POST /nobody", from("203.0.113.2")) == 204);
}

TEST_CASE("sign-in and webhooks have limits of their own, and are no other changes") {
  Limited test({{Limit::Writes, 1}, {Limit::SignIn, 3}, {Limit::Webhooks, 2}});
  const std::string console = "Host: console.matrix.test\r\n";
  CHECK(test.status("POST /auth/login") == 200);
  CHECK(test.status("POST /auth/login", console) == 200);
  CHECK(test.status("GET /auth") == 200);
  for (int i = 0; i < 2; ++i) {
    const Answer refused = test.ask("POST /auth/login", console);
    CHECK(refused.status == 429);
    CHECK(refused.field("RateLimit-Policy") == R"("sign_in";q=3;w=86400)");
    CHECK(refused.body.find("too many requests to sign in from this address") != std::string::npos);
  }
  CHECK(test.status("POST /auth/login", from("203.0.113.1")) == 200);
  CHECK(test.status("GET /authors") == 200);
  CHECK(test.status("GET /auth/sessions", as("ann")) == 200);
  CHECK(test.status("POST /webhooks/clerk") == 200);
  CHECK(test.ask("POST /webhooks/clerk").field("RateLimit").find(R"("webhooks";r=0;t=)") == 0);
  CHECK(test.ask("POST /webhooks/clerk").body.find("too many webhooks from this address") != std::string::npos);
  CHECK(test.status("POST /nobody") == 204);
  CHECK(test.ask("POST /nobody").body.find("too many changes") != std::string::npos);
}

TEST_CASE("a guess counts twice") {
  Limited test({{Limit::Address, 5}});
  CHECK(test.status("GET /me", as("wrong")) == 401);
  CHECK(test.status("GET /me") == 401);
  CHECK(test.status("GET /me", as("ann")) == 200);
  CHECK(test.status("GET /me", as("ann")) == 429);
}

TEST_CASE("limits change while the server runs") {
  Limited test({});
  for (int i = 0; i < 10; ++i)
    CHECK(test.status("GET /hello") == 200);
  api::LimitRates rates{};
  rates[static_cast<std::size_t>(Limit::Address)] = perDay(1);
  test.http.server().setLimits(rates);
  CHECK(test.status("GET /hello") == 200);
  CHECK(test.status("GET /hello") == 429);
  test.http.server().setLimits({});
  CHECK(test.status("GET /hello") == 200);
}
