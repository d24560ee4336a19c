// The plugin as it is loaded: its routes, its service, its keys.
#include "Signed.h"

#include <matrixos/identity.hpp>
#include <matrixos/orchestrator.hpp>
#include <matrixos/signup.hpp>
#include <matrixos/testing.hpp>
#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

using namespace matrixos;
using namespace matrixos::testing;
using matrixos::test::inngestField;
using matrixos::test::kWebhookSecret;
using matrixos::test::signedFields;
using matrixos::test::userEvent;

namespace {

/// Instances that are a name and an owner.
class Instances final : public Orchestrator {
public:
  void provision(const Call &, std::string_view handle, std::string_view user, Completion &done) override {
    std::string json;
    {
      const std::lock_guard lock(mutex_);
      ++calls;
      const auto [at, isNew] = owners_.emplace(handle, user);
      if (!isNew && at->second != user) throw Error(Status::AlreadyExists, "it is taken", "HANDLE_TAKEN");
      json = jsonOf(at->first, at->second);
    }
    done.succeed(json);
  }
  void destroy(const Call &, std::string_view handle, Completion &done) override {
    {
      const std::lock_guard lock(mutex_);
      owners_.erase(std::string(handle));
    }
    done.succeed("{}");
  }
  void list(std::string_view, const std::function<bool(std::string_view)> &item) override {
    const std::lock_guard lock(mutex_);
    ++lists;
    for (const auto &[handle, user] : owners_)
      if (!item(jsonOf(handle, user))) return;
  }
  std::string get(std::string_view handle) override {
    const std::lock_guard lock(mutex_);
    const auto found = owners_.find(std::string(handle));
    if (found == owners_.end()) throw Error(Status::NotFound, "there is none", "NO_INSTANCE");
    return jsonOf(found->first, found->second);
  }
  void start(const Call &, std::string_view, Completion &) override {}
  void stop(const Call &, std::string_view, std::uint64_t, std::string_view, Completion &) override {}
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &) override { return 1; }
  void unwatch(std::uint64_t) override {}
  void recordActivity(const mos_activity *, std::uint32_t) override {}

  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return owners_.size();
  }
  int calls = 0, lists = 0;

private:
  static std::string jsonOf(const std::string &handle, const std::string &user) {
    return R"({"id":"01","rev":1,"status":"running","handle":")" + handle + R"(","clerkUserId":")" + user + "\"}";
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::string> owners_;
};

struct Platform {
  Platform() : host(SIGNUP_PLUGIN) {
    host.set("secret", kWebhookSecret).set("inngest_key", "signkey-test-abcdef");
    host.provide(MOS_ORCHESTRATOR_1, instances.table());
  }
  Answer post(const std::string &body, const Fields &fields) const {
    return host.request("POST", "/webhooks/clerk", body, fields, Who::Anyone);
  }
  Answer deliver(const std::string &id, const std::string &body) const {
    return post(body, signedFields(id, wallClockMs() / 1000, body));
  }
  std::string stateOf(const std::string &user) const {
    return host.rows("SELECT state FROM signup_users WHERE user_id = '" + user + "'");
  }
  bool reaches(const std::string &user, const std::string &state) {
    return eventually([&] {
      host.advance(std::chrono::seconds{1});
      return stateOf(user) == state + "\n";
    });
  }

  Instances instances;
  Host host;
};

} // namespace

TEST_CASE("a signed event makes an instance; what is not signed leaves no trace") {
  Platform platform;
  Host &host = platform.host;
  host.start();
  const std::string body = userEvent("user.created", "user_1", "ada", "ada@example.org", 5);
  const std::int64_t now = wallClockMs() / 1000;
  CHECK(platform.post(body, {}).status == 401);
  CHECK(platform.post(body, signedFields("msg_1", now - 400, body)).status == 401);
  CHECK(platform.post(body, signedFields("msg_1", now + 400, body)).status == 401);
  CHECK(platform.post(body, signedFields("msg_1", now, body + " ")).has("BAD_SIGNATURE"));
  auto mixed = signedFields("msg_1", now, body);
  mixed[2].first = "webhook-signature";
  CHECK(platform.post(body, mixed).has("NO_SIGNATURE"));
  CHECK(host.rows("SELECT count(*) FROM signup_inbox") == "0\n");
  CHECK(host.rows("SELECT count(*) FROM signup_users") == "0\n");

  const Answer first = platform.deliver("msg_1", body);
  INFO(host.logText());
  CHECK(first.status == 200);
  CHECK(first.has(R"("result":"applied")"));
  CHECK(platform.deliver("msg_1", body).has(R"("result":"repeated")"));
  // The same event in another envelope, by the other names.
  CHECK(platform.post(body, signedFields("msg_2", now, body, kWebhookSecret, "webhook")).status == 200);
  REQUIRE(platform.reaches("user_1", "done"));
  CHECK(platform.instances.count() == 1);
  CHECK(eventually([&] { return host.events("signup.provisioned").size() == 1; }));
  CHECK(host.metric(R"(matrixos_signup_deliveries_total{result="refused"})") == 5);

  const std::string other = R"({"type":"session.ended","data":{"id":"sess_1"}})";
  CHECK(platform.deliver("msg_3", other).has(R"("result":"ignored")"));
  CHECK(platform.deliver("msg_3", other).has(R"("result":"repeated")"));
  CHECK(host.rows("SELECT type, user_id FROM signup_inbox WHERE delivery = 'msg_3'") == "session.ended|\n");
  CHECK(platform.deliver("msg_4", "{").status == 400);
  CHECK(platform.deliver("msg_5", std::string(600 * 1024, ' ')).status == 413);
  CHECK(host.faults() == "");
  host.stop();
}

TEST_CASE("created, updated and deleted in any order end the same") {
  std::vector<std::string> types{"user.created", "user.deleted", "user.updated"};
  for (bool more = true; more; more = std::next_permutation(types.begin(), types.end())) {
    Platform platform;
    platform.host.set("delete_grace", "0s");
    platform.host.start();
    int number = 0;
    for (const std::string &type : types) {
      const std::string body = userEvent(type, "user_1", "ada", "ada@example.org");
      const std::string id = "msg_" + std::to_string(++number);
      CHECK(platform.deliver(id, body).status == 200);
      CHECK(platform.deliver(id, body).has("repeated"));
    }
    CHECK(platform.reaches("user_1", "deleted"));
    CHECK(platform.instances.count() == 0);
    platform.host.stop();
  }
}

TEST_CASE("operators see who signed up, and others do not") {
  Platform platform;
  Host &host = platform.host;
  host.start();
  CHECK(host.request("GET", "/signups", "", {}, Who::Anyone).status == 401);
  CHECK(host.request("POST", "/signups/user_1/retry", "", {}, Who::Anyone).status == 401);
  CHECK(host.get("/signups").body == "[]");
  CHECK(platform.deliver("msg_1", userEvent("user.created", "user_1", "ada", "ada@example.org")).status == 200);
  const std::int64_t first = wallClockMs(); // the newest first; within a millisecond either may be
  REQUIRE(eventually([&] { return wallClockMs() > first; }));
  CHECK(platform.deliver("msg_2", userEvent("user.created", "user_2", "ada", "ada2@example.org")).status == 200);
  REQUIRE(platform.reaches("user_1", "done"));
  REQUIRE(platform.reaches("user_2", "done"));
  const Answer shown = host.get("/signups/user_2");
  CHECK(shown.status == 200);
  CHECK(shown.body.rfind(R"({"id":"0)", 0) == 0);
  CHECK(shown.has(R"(","userId":"user_2","email":"ada2@example.org","handle":"ada-2","wantedHandle":"ada",)"
                  R"("state":"done","attempts":1,"lastError":"","nextTryAt":null,"receivedAt":"2)"));
  CHECK(host.get("/signups/" + shown.body.substr(7, 26)).body == shown.body);
  CHECK(host.get("/signups?state=done&limit=1").body == "[" + shown.body + "]");
  CHECK(host.get("/signups?before=" + shown.body.substr(7, 26)).has("user_1"));
  CHECK(host.get("/signups?state=waiting").body == "[]");
  CHECK(host.get("/signups?state=odd").status == 400);
  CHECK(host.get("/signups?limit=0").status == 400);
  CHECK(host.get("/signups/nobody").status == 404);
  CHECK(host.post("/signups/nobody/retry").status == 404);
  CHECK(host.post("/signups/user_1/retry").status == 409);
  host.stop();
}

namespace {

/// Knows operators by the scopes that they bring.
struct Scopes final : Identity {
  Principal identify(const IdentityRequest &request) override {
    return Principal::operatorWith("token:test", request.header("X-Scopes"));
  }
};

} // namespace

TEST_CASE("a token with a scope may do what that says, and no more") {
  Platform platform;
  Host &host = platform.host;
  const Scopes scopes;
  host.provide(MOS_IDENTITY_1, scopes.table(), "scopes");
  host.start();
  CHECK(platform.deliver("msg_1", userEvent("user.created", "user_1", "ada")).status == 200);
  REQUIRE(platform.reaches("user_1", "done"));
  const auto ask = [&](const char *method, const char *path, const char *with) {
    return host.request(method, path, "", {{"X-Scopes", with}}, Who::Anyone).status;
  };
  for (const char *path : {"/signups", "/signups/user_1"}) {
    CHECK(ask("GET", path, "users:read") == 200);
    CHECK(ask("GET", path, "users:write instances:read") == 403);
  }
  CHECK(ask("POST", "/signups/user_1/retry", "users:write") == 409);
  CHECK(ask("POST", "/signups/user_1/retry", "users:read") == 403);
  host.stop();
}

TEST_CASE("who asks again for somebody who has signed up, and knows less of them, changes nothing") {
  Platform platform;
  Host &host = platform.host;
  host.start();
  host.withdraw(MOS_ORCHESTRATOR_1); // so that it waits
  {
    const auto table = host.lease<mos_signup_v1>(MOS_SIGNUP_1);
    const SignupClient client(table.get());
    const CallScope call(std::chrono::seconds{10});
    const std::string made = client.enqueue(call.abi(), "sub|1", "ada@example.org", "countess");
    CHECK(made.find(R"("wantedHandle":"countess","state":"waiting")") != std::string::npos);
    CHECK(client.enqueue(call.abi(), "sub|1", "", "") == made);
    CHECK(host.rows("SELECT email, username FROM signup_users") == "ada@example.org|countess\n");
  }
  host.stop();
}

TEST_CASE("the service signs up whom others let in, and nobody who was deleted") {
  Platform platform;
  Host &host = platform.host;
  host.start();
  {
    const auto table = host.lease<mos_signup_v1>(MOS_SIGNUP_1);
    const SignupClient client(table.get());
    const CallScope call(std::chrono::seconds{10});
    const std::string made = client.enqueue(call.abi(), "sub|1", "ada@example.org", "");
    CHECK(made.find(R"("wantedHandle":"ada","state":"waiting")") != std::string::npos);
    REQUIRE(platform.reaches("sub|1", "done"));
    CHECK(client.enqueue(call.abi(), "sub|1", "else@example.org", "").find(R"("state":"done")") != std::string::npos);
    CHECK(platform.instances.count() == 1);
    CHECK_THROWS_AS(client.enqueue(call.abi(), "", "", ""), Error);
    CHECK(platform.deliver("msg_1", userEvent("user.deleted", "sub|1")).status == 200);
    CHECK_THROWS_AS(client.enqueue(call.abi(), "sub|1", "ada@example.org", ""), Error);
  }
  host.stop();
}

namespace {

/// The plugin as a provider of identities, asked as the API does.
class Guard {
public:
  explicit Guard(Host &host) : table_(host.lease<mos_identity_v1>(MOS_IDENTITY_1, "signup")) {}

  /// "signed", "unknown", or the reason of a refusal; with a body also what find_out() says.
  std::string ask(const std::string &field, std::optional<std::string> body = {},
                  const char *path = "/containers/provision", const char *method = "POST") const {
    const std::array<mos_pair, 1> fields{{{toAbi("X-Inngest-Signature"), toAbi(field)}}};
    Request request{};
    request.struct_size = sizeof(mos_identity_request);
    request.method = toAbi(method);
    request.path = toAbi(path);
    request.fields = fields.data();
    request.fields_count = 1;
    request.has_body = body ? 1 : 0;
    request.body = toAbi(body ? std::string_view(*body) : std::string_view());
    request.answer = [](const mos_identity_request *self, const mos_principal *given) {
      const std::string reason(fromAbi(given->reason));
      *static_cast<const Request *>(self)->said = given->kind == MOS_PRINCIPAL_UNKNOWN   ? "unknown"
                                                  : given->kind == MOS_PRINCIPAL_SIGNED  ? "signed"
                                                  : given->kind == MOS_PRINCIPAL_PENDING ? "pending"
                                                  : given->status == 401                 ? reason
                                                                                         : "odd";
    };
    std::string said;
    request.said = &said;
    CHECK(table_->identify(table_->self, &request, nullptr) == MOS_OK);
    return said == "pending" ? findOut(request) : said;
  }

private:
  struct Request : mos_identity_request {
    std::string *said;
  };

  std::string findOut(Request &request) const {
    request.answer = nullptr;
    const CallScope call(std::chrono::seconds{10});
    std::promise<std::string> promise;
    const auto then = [&](const Outcome &outcome) {
      promise.set_value(outcome.error != nullptr ? outcome.error->what() : std::string(outcome.json));
    };
    withCompletion(then, [&](mos_completion done, mos_error *error) {
      return table_->find_out(table_->self, call.abi(), &request, done, error);
    });
    return promise.get_future().get();
  }

  const std::shared_ptr<const mos_identity_v1> table_;
};

} // namespace

TEST_CASE("Inngest's signature lets in to provision; whoever was deleted gets nothing by it") {
  Platform platform;
  Host &host = platform.host;
  host.start();
  {
    const Guard guard(host);
    const std::int64_t now = wallClockMs() / 1000;
    const std::string body = R"({"handle":"ada","clerkUserId":"user_1"})";
    const std::string good = inngestField("abcdef", now, body);
    // Without the body, all that can be judged without it.
    CHECK(guard.ask("") == "unknown");
    CHECK(guard.ask(good) == "signed");
    CHECK(guard.ask("t=1") == "BAD_SIGNATURE");
    CHECK(guard.ask(good.substr(0, good.size() - 1)) == "BAD_SIGNATURE");
    CHECK(guard.ask(inngestField("abcdef", now - 400, body)) == "STALE_SIGNATURE");
    CHECK(guard.ask(inngestField("abcdef", now + 400, body)) == "STALE_SIGNATURE");
    // It opens nothing else.
    for (const char *path : {"/containers/ada/start", "/signups/user_1/retry", "/containers/provision/more", "/"})
      CHECK(guard.ask(good, body, path) == "unknown");
    CHECK(guard.ask(good, body, "/containers/provision", "GET") == "unknown");

    const std::string caller = guard.ask(good, body);
    CHECK(caller.find(R"({"kind":"operator")") == 0);
    CHECK(caller.find(R"("id":"inngest","scopes":"instances:write")") != std::string::npos);
    CHECK(guard.ask(good, body + " ") == "BAD_SIGNATURE");
    CHECK(guard.ask(good, "") == "BAD_SIGNATURE");
    CHECK(guard.ask(inngestField("abcdee", now, body), body) == "BAD_SIGNATURE");
    CHECK(guard.ask(inngestField("abcdef", now - 400, body), body) == "STALE_SIGNATURE");
    CHECK(host.metric(R"(matrixos_signup_deliveries_total{result="refused"})") == 8);
    // What it makes of such a body is the route's business.
    for (const std::string &odd : {std::string(), std::string("{"), std::string(R"({"clerkUserId":7})")})
      CHECK(guard.ask(inngestField("abcdef", now, odd), odd).find(R"({"kind":"operator")") == 0);

    CHECK(platform.deliver("msg_1", userEvent("user.deleted", "user_1")).status == 200);
    CHECK(guard.ask(good) == "signed");
    const std::string deleted = guard.ask(good, body);
    CHECK(deleted.find(R"({"kind":"refused")") == 0);
    CHECK(deleted.find(R"("status":409)") != std::string::npos);
    CHECK(deleted.find(R"("reason":"USER_DELETED")") != std::string::npos);
    host.set("inngest_key", "");
    host.reconfigure();
    CHECK(guard.ask(good) == "unknown");
    CHECK(guard.ask(good, body) == "unknown");
  }
  host.stop();
}

TEST_CASE("without an orchestrator deliveries are kept, over a restart as well") {
  Platform platform;
  Host &host = platform.host;
  host.start();
  host.withdraw(MOS_ORCHESTRATOR_1);
  CHECK(platform.deliver("msg_1", userEvent("user.created", "user_1", "ada")).status == 200);
  CHECK(eventually([&] { return host.state("signup").rfind("degraded: sign-ups wait", 0) == 0; }));
  host.stop();
  host.provide(MOS_ORCHESTRATOR_1, platform.instances.table());
  host.start();
  CHECK(platform.deliver("msg_1", userEvent("user.created", "user_1", "ada")).has("repeated"));
  CHECK(platform.reaches("user_1", "done"));
  CHECK(host.state("signup") == "running");
  host.stop();
}

TEST_CASE("keys are replaced by a reload, and without one the route is shut") {
  Platform platform;
  Host &host = platform.host;
  host.start();
  const std::string other = "whsec_" + base64Encode("another key, of another time....");
  const std::string body = userEvent("user.created", "user_1", "ada");
  const auto with = [&](const std::string &id, const std::string &secret) {
    return platform.post(body, signedFields(id, wallClockMs() / 1000, body, secret)).status;
  };
  CHECK(with("msg_1", other) == 401);
  host.set("secret", other);
  host.reconfigure();
  CHECK(with("msg_2", other) == 200);
  CHECK(with("msg_3", kWebhookSecret) == 401);
  host.set("secret", "");
  host.reconfigure();
  CHECK(with("msg_4", other) == 503);
  CHECK_FALSE(host.logged(other));
  CHECK_FALSE(host.logged(kWebhookSecret));
  host.stop();
}
