// The test host keeps its word: what it says of a plugin that behaves, and of one that does not.
#include "fakes/services/greeter.h"

#include <matrixos/identity.hpp>
#include <matrixos/policy.hpp>
#include <matrixos/testing.hpp>
#include <matrixos/testing/policy.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <string>

using namespace matrixos;
using namespace matrixos::testing;
using doctest::Contains;

namespace {

MOS_DESCRIBE_SERVICE(kGreeter, EXAMPLE_GREETER_1, EXAMPLE_GREETER_1_MINOR, EXAMPLE_GREETER_1_FUNCTIONS)

/// A greeter that the test plays.
struct FakeGreeter {
  example_greeter_v1 table{};
  std::string answer = R"({"greeting":"from the test"})";

  FakeGreeter() {
    table.struct_size = sizeof table;
    table.minor = 0;
    table.self = this;
    table.greet = [](void *self, const mos_call *call, mos_str name, std::int64_t, mos_buf *out, mos_error *error) {
      return guarded(error, [&] {
        while (fromAbi(name) == "slow" && !Call(call).cancelled())
          std::this_thread::sleep_for(std::chrono::milliseconds{5});
        giveBuffer(out, static_cast<FakeGreeter *>(self)->answer);
      });
    };
  }
};

struct Door final : Identity {
  Principal identify(const IdentityRequest &request) override {
    return request.header("x-user").empty() ? Principal::unknown() : Principal::user("user:ada", MOS_ROLE_NONE);
  }
};

/// Knows whose seal, in the field X-Seal, is the body.
struct Sealer final : Identity {
  Principal identify(const IdentityRequest &request) override {
    const std::string_view seal = request.header("x-seal");
    if (request.hasBody()) ++bodies;
    if (seal.empty()) return Principal::unknown();
    if (!request.hasBody() || seal == "twice") return Principal::signedBody();
    if (seal == "stranger") return Principal::unknown();
    if (seal == "gone") return Principal::refused(409, "that seal is gone", "SEAL_GONE");
    if (seal == "odd") return Principal::refused(409, "that seal is gone", "seal \"gone\"");
    if (seal == "later" || seal == "never") return Principal::pending();
    return seal == request.body() ? Principal::user("user:sealed", MOS_ROLE_NONE) : Principal::refused(401, "broken");
  }
  void findOut(const Call &, const IdentityRequest &request, Completion &done) override {
    const bool whole = request.header("x-seal") == "later" && request.body() == "wax";
    done.succeed(whole ? Principal::user("user:later", MOS_ROLE_NONE).json() : R"({"kind":"signed"})");
  }
  int bodies = 0;
};

/// Has to find out who sends a card.
struct SlowDoor final : Policy {
  PolicyVerdict check(const PolicyRequest &request) override {
    if (request.header("x-card").empty()) return PolicyVerdict::deny(401, "a card, please", {{"X-Need", "card"}});
    return PolicyVerdict::pending();
  }
  void decide(const Call &, const PolicyRequest &request, Completion &done) override {
    if (request.header("x-card") == "torn") throw Error(Status::InvalidArgument, "that card is torn");
    done.succeed(PolicyVerdict::allow(request.header("x-card")).json());
  }
};

} // namespace

TEST_CASE("configuration: defaults, values, live ones, and those that nobody may set") {
  Host host(TESTED);
  host.set("word", "moin").start();
  CHECK(host.get("/tested").has(R"("word":"moin","fixed":"one")"));
  CHECK(host.state("tested") == "running");
  host.set("word", "servus").set("fixed", "two");
  CHECK(host.get("/tested").has(R"("word":"moin")"));
  host.reconfigure();
  CHECK(host.get("/tested").has(R"("word":"servus","fixed":"one")")); // as with a daemon: fixed takes a restart
  host.set("word", "bad");
  CHECK_THROWS_WITH(host.reconfigure(), "tested: that is a bad word");
  host.set("word", "moin");
  host.restart();
  CHECK(host.get("/tested").has(R"("word":"moin","fixed":"two")"));
  host.set("nonsense", "1");
  CHECK_THROWS_WITH(host.reconfigure(), Contains("nonsense"));
  host.stop();
  CHECK_THROWS_WITH(host.start(), Contains("nonsense"));
  CHECK_THROWS_WITH(host.get("/tested"), Contains("start() comes first"));
}

TEST_CASE("a service that the test plays: gone, back, and too slow") {
  Host host(TESTED);
  FakeGreeter greeter;
  host.provide(EXAMPLE_GREETER_1, &greeter.table).start();
  CHECK(host.get("/tested/greet/ada").body == greeter.answer);
  host.withdraw(EXAMPLE_GREETER_1);
  CHECK(host.get("/tested/greet/ada").status == 503);
  CHECK_THROWS_WITH(host.withdraw(EXAMPLE_GREETER_1), Contains("does not provide"));
  greeter.answer = "{}";
  host.provide(EXAMPLE_GREETER_1, &greeter.table);
  CHECK(host.get("/tested/greet/ada").body == "{}");
  CHECK(host.get("/tested/greet/slow").status == 504);
  CHECK(eventually([&] { return host.events("service.withdrawn").size() == 1; }));
  CHECK_THROWS_WITH(host.provide("example.other/1", &greeter.table), Contains("before start()"));
  host.stop();
}

TEST_CASE("time goes where the test says: timers, tasks, and pauses of the outbox") {
  Host host(TESTED);
  host.start();
  CHECK(host.post("/tested/send/letter", "hello").status == 202);
  host.advance(std::chrono::minutes{59});
  CHECK(host.get("/tested").has(R"("hours":0)"));
  host.advance(std::chrono::hours{5});
  CHECK(eventually([&] { return host.get("/tested").has(R"("hours":5)"); }));
  // Two attempts failed; the third is due by now, and each begins when the one before is through.
  CHECK(eventually([&] {
    host.advance(std::chrono::minutes{1});
    return host.rows("SELECT id FROM tested_sent") == "letter\n";
  }));
  host.restart();
  CHECK(host.rows("SELECT id FROM tested_sent") == "letter\n");
  host.post("/tested/send/second", "hello");
  CHECK(eventually([&] {
    host.advance(std::chrono::minutes{1});
    return host.rows("SELECT count(*) FROM tested_sent") == "2\n";
  }));
  host.stop();
}

TEST_CASE("events and log") {
  Host host(TESTED);
  host.start();
  host.publish("visit.ada", "{}");
  CHECK(eventually([&] { return host.logged("somebody came"); }));
  const std::vector<LogLine> log = host.log();
  REQUIRE(log.size() == 1);
  CHECK(log[0].logger == "tested");
  CHECK(log[0].level == MOS_LOG_INFO);
  CHECK(log[0].field("topic") == "visit.ada");
  CHECK(host.logText() == "info tested: somebody came topic=visit.ada\n");
  CHECK(host.events("visit.").size() == 1);
  host.stop();
}

TEST_CASE("who asks is found out by providers of identities") {
  Host host(TESTED);
  const Door door;
  host.provide(MOS_IDENTITY_1, door.table(), "door").start();
  CHECK(host.request("GET", "/tested/me", "", {{"X-User", "ada"}}, Who::Anyone).body == R"({"who":"user:ada"})");
  CHECK(host.request("GET", "/tested/me", "", {}, Who::Anyone).status == 401);
  CHECK(host.request("GET", "/tested", "", {{"X-User", "ada"}}, Who::Anyone).status == 403);
  CHECK(host.get("/tested/me").status == 200);
  CHECK(host.get("/tested/me").field("content-type") == "application/json; charset=utf-8");
  CHECK(host.get("/nowhere").status == 404);
  host.stop();
}

TEST_CASE("who sees that the body is signed is asked again with it, and nobody else") {
  Host host(TESTED);
  Sealer another, sealer;
  host.provide(MOS_IDENTITY_1, another.table(), "another").provide(MOS_IDENTITY_1, sealer.table(), "sealer");
  const Door door;
  host.provide(MOS_IDENTITY_1, door.table(), "door").start();
  const auto post = [&](const std::string &seal, const std::string &body) {
    return host.request("POST", "/tested/me", body, {{"X-Seal", seal}, {"X-User", "ada"}}, Who::Anyone);
  };
  CHECK(post("wax", "wax").body == R"({"who":"user:sealed"})");
  CHECK(another.bodies + sealer.bodies == 1);
  CHECK(post("later", "wax").body == R"({"who":"user:later"})");
  CHECK(post("wax", "").status == 401);
  CHECK(post("wax", "wex").status == 401);
  // Not even the next one, who would know her.
  CHECK(post("stranger", "wax").has("AUTHENTICATION_REQUIRED"));
  CHECK(post("twice", "wax").has("AUTHENTICATION_REQUIRED"));
  const Answer gone = post("gone", "wax");
  CHECK(gone.status == 409);
  CHECK(gone.has(R"("reason":"SEAL_GONE")"));
  // What makes no sense lets nobody in.
  CHECK(post("odd", "wax").status == 503);
  CHECK(post("never", "wax").status == 503);
  CHECK(another.bodies + sealer.bodies == 9);
  CHECK((another.bodies == 0 || sealer.bodies == 0));
  CHECK(post("", "wax").body == R"({"who":"user:ada"})");
  host.stop();
}

TEST_CASE("a policy is asked as the proxy asks it, at once and when it has to find out") {
  Host host(TESTED);
  const SlowDoor door;
  host.provide(MOS_POLICY_1, door.table(), "door").start();
  const auto policy = host.lease<mos_policy_v1>(MOS_POLICY_1, "door");
  PolicyQuestion question;
  const PolicyAnswer denied = checkPolicy(*policy, question);
  CHECK(denied.verdict == MOS_VERDICT_DENY);
  CHECK(denied.status == 401);
  CHECK(denied.fields == Fields{{"X-Need", "card"}});
  question.fields = {{"x-card", "ada"}};
  CHECK(checkPolicy(*policy, question).verdict == MOS_VERDICT_PENDING);
  CHECK(decidePolicy(*policy, question).find(R"("principal":"ada")") != std::string::npos);
  question.fields = {{"x-card", "torn"}};
  CHECK_THROWS_WITH(decidePolicy(*policy, question), "that card is torn");
  host.withdraw(MOS_POLICY_1, "door");
  CHECK_THROWS_AS(checkPolicy(*policy, question), Error);
  host.stop();
}

TEST_CASE("what a plugin leaves behind is told") {
  Host host(TESTED);
  host.start();
  host.post("/tested/leave/thread");
  CHECK_THROWS_WITH(host.stop(), Contains("it left behind a thread"));
  host.start();
  host.post("/tested/leave/file");
  CHECK_THROWS_WITH(host.stop(), Contains("it left behind an open file (/dev/null)"));
  host.set("leave", "refusal");
  host.start();
  CHECK_THROWS_WITH(host.stop(), "tested: this plugin does not want to stop");
}

TEST_CASE("what a plugin must not do is told") {
  Host host(TESTED);
  host.start();
  CHECK(host.faults() == "");
  CHECK(host.post("/tested/trespass").status == 403);
  CHECK(host.faults() == "tested: trespass\n");
  CHECK(host.logged("matrixos_tables"));
  host.stop();
}

TEST_CASE(
    "a plugin that cannot be loaded, or does not start, is refused in the daemon's words, and can be tried again") {
  {
    Host host(THROWS);
    CHECK_THROWS_WITH(host.start(), Contains("start went wrong on purpose"));
    CHECK_THROWS_WITH(host.start(), Contains("start went wrong on purpose"));
    CHECK_NOTHROW(host.stop()); // nothing runs
  }
  {
    Host host(WRONG_MAGIC);
    CHECK_THROWS_WITH(host.start(), Contains("magic"));
  }
  Host host;
  CHECK_THROWS_WITH(host.add("/nowhere/x.so"), Contains("/nowhere/x.so cannot be copied"));
  CHECK_THROWS_WITH(host.add("/etc/passwd"), Contains("is no file of a plugin"));
  CHECK_THROWS_WITH(host.set("word", "x"), Contains("of which plugin?"));
  CHECK_THROWS_WITH(Host(), Contains("one at a time"));
  host.add(GOOD).add(TESTED).start();
  CHECK(host.get("/fake-good").status == 200);
  CHECK(host.get("/tested").status == 200);
  CHECK_THROWS_WITH(host.state("nobody"), Contains("no plugin \"nobody\""));
  CHECK_THROWS(host.rows("SELECT nonsense FROM nowhere"));
  CHECK_THROWS_WITH(host.advance(std::chrono::milliseconds{-1}), Contains("time does not go back"));
  host.stop();
}

TEST_CASE("a table that the test kept is refused after the end, and the folder goes") {
  std::string folder;
  {
    Host host(TESTED);
    FakeGreeter greeter;
    host.describe(kGreeter).provide(EXAMPLE_GREETER_1, &greeter.table).start();
    folder = host.folder();
    CHECK(std::filesystem::exists(folder + "/matrixos.db"));
    const auto kept = host.lease<example_greeter_v1>(EXAMPLE_GREETER_1);
    const CallScope call(std::chrono::seconds{5});
    Buffer before, after;
    CHECK(kept->greet(kept->self, call.abi(), toAbi("ada"), 1, before.out(), nullptr) == MOS_OK);
    host.stop();
    CHECK(kept->greet(kept->self, call.abi(), toAbi("ada"), 1, after.out(), nullptr) != MOS_OK);
  }
  CHECK_FALSE(std::filesystem::exists(folder));
}
