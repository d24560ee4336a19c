// Who asks, where plugins know more people than the platform's secret does.
#include "HttpTestSupport.h"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <thread>

using namespace httptest;
using namespace matrixos;
using auth::Identity;

namespace {

/// Knows the tokens of the test, at once or later.
class Known final : public auth::Identities {
public:
  ~Known() override {
    for (std::thread &thread : threads_)
      thread.join();
  }

  std::optional<Identity> identify(const auth::IdentityQuestion &question,
                                   const std::function<Then()> &later) override {
    ++asked;
    std::string token;
    for (const mos_pair &field : question.fields)
      if (fromAbi(field.key) == "Authorization") token = fromAbi(field.value);
    last = std::string(question.method) + " " + std::string(question.path) + " " + std::string(question.permission) +
           " " + std::string(question.handle) + " " + std::string(question.host);
    Identity who;
    who.kind = token == "Bearer op"     ? Identity::Kind::Operator
               : token == "Bearer inst" ? Identity::Kind::Instance
               : token == "Bearer gone" ? Identity::Kind::Refused
               : token == "Bearer none" ? Identity::Kind::Unknown
                                        : Identity::Kind::User;
    who.role = question.handle == "alice" ? Identity::Role::Owner : Identity::Role::None;
    who.scopes = "users:read";
    who.id = "id:" + token;
    who.message = "signed out";
    if (token != "Bearer slow" && token != "Bearer never") return who;
    auto then = later();
    if (token == "Bearer never") return {};
    threads_.emplace_back([then = std::move(then), who] { then(who); });
    return {};
  }

  std::atomic<int> asked{0};
  std::string last;

private:
  std::vector<std::thread> threads_;
};

struct Fixture {
  std::shared_ptr<Known> known = std::make_shared<Known>();
  TestServer http{[this](api::ApiServerOptions &options) { options.identities = known; }, false};

  Fixture() {
    const auto whoAmI = [](const std::shared_ptr<api::ApiExchange> &exchange) {
      exchange->respond(200, "text/plain", {}, exchange->data().principal);
    };
    http.server().addRoutes(
        7, {route("GET", "/mine/:handle", whoAmI, 0, "owner"), route("GET", "/me", whoAmI, 0, "signed-in"),
            route("GET", "/users", whoAmI, 0, "operator:users:read"), route("POST", "/own", whoAmI, 1000, "instance"),
            route("GET", "/all", whoAmI, 0, "admin"), route("GET", "/open", whoAmI, 0, "public")});
    http.server().start();
  }
  Answer ask(const std::string &path, const std::string &token) const {
    RawClient client(http.apiPath());
    client.send(get(path, token.empty() ? "" : "Authorization: Bearer " + token + "\r\n"));
    return client.next();
  }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "a plugin says who asks, and the route's permission who may") {
  CHECK(ask("/mine/alice", "user").body == "id:Bearer user");
  CHECK(known->last.substr(0, 31) == "GET /mine/alice owner alice api");
  CHECK(ask("/mine/bob", "user").status == 403);
  CHECK(ask("/mine/alice", "op").status == 403); // without that scope
  CHECK(ask("/me", "op").status == 200);
  CHECK(ask("/me", "inst").status == 403);
  CHECK(ask("/users", "op").status == 200);
  CHECK(ask("/users", "user").status == 403);
  CHECK(ask("/all", "op").status == 403);
  CHECK(ask("/all", "none").status == 401);
  CHECK(ask("/me", "gone").body.find("signed out") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "nobody is asked about who is known, or about what is public") {
  CHECK(ask("/all", kSecret).body == "admin");
  CHECK(ask("/mine/bob", kSecret).body == "admin");
  CHECK(ask("/open", "user").status == 200);
  RawClient admin(http.adminPath());
  admin.send(get("/mine/bob"));
  CHECK(admin.next().status == 200);
  CHECK(known->asked == 0);
}

TEST_CASE_FIXTURE(Fixture, "an instance's route is for instances alone") {
  const auto post = [&](const std::string &token) {
    RawClient client(http.apiPath());
    client.send("POST /own HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token +
                "\r\nContent-Length: 4\r\n\r\nbody");
    return client.next().status;
  };
  CHECK(post("inst") == 200);
  CHECK(post("user") == 403);
  CHECK(post(kSecret) == 403);
}

TEST_CASE_FIXTURE(Fixture, "it may take its time; the body waits, and so does what comes after it") {
  RawClient client(http.apiPath());
  for (int i = 0; i < 20; ++i) {
    client.send("GET /mine/alice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer slow\r\n\r\n" + get("/open"));
    CHECK(client.next().body == "id:Bearer slow");
    CHECK(client.next().status == 200);
  }
  // One that left meanwhile is forgotten.
  RawClient gone(http.apiPath());
  gone.send(get("/me", "Authorization: Bearer never\r\n"));
  CHECK(eventually([&] { return known->asked == 21; }));
  gone.close();
  CHECK(eventually([&] { return http.server().openRequests() == 0; }));
  CHECK(ask("/me", "user").status == 200);
}
