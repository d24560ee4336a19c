/// Limits of money at their ends: zero, the turn of a month, somebody else with the same handle.
#include "Stage.h"

#include <doctest/doctest.h>
#include <support/Text.h>

#include <atomic>

using namespace matrixos::gateway::test;
using namespace matrixos::gateway;
using matrixos::test::eventually;
using matrixos::test::has;
using matrixos::test::request;

namespace {

Money micro(std::int64_t amount) {
  return Money::ofPico(amount * 1'000'000);
}

const Headers kAdmin{{"Authorization", std::string("Bearer ") + kSecret}};
const Headers kAlice{{"x-api-key", kToken}};

matrixos::InstanceRecord recordOf(const std::string &id, std::uint64_t rev,
                                  matrixos::InstanceStatus status = matrixos::InstanceStatus::Running) {
  matrixos::InstanceRecord record;
  record.id = id;
  record.handle = "alice";
  record.rev = rev;
  record.status = status;
  return record;
}

} // namespace

TEST_CASE("at the turn of a month limits begin anew, and calls in flight stay where they began") {
  std::atomic<bool> goOn{false};
  Upstream upstream([&](const Peer &peer, const std::string &said) {
    if (has(said, "slow")) eventually([&] { return goOn.load(); });
    peer.say(answerOf("200 OK", messageOf(10, 20)));
  });
  Ledger::Settings limits;
  limits.perUser = {micro(1'000), micro(1'500)}; // a call holds 540 at most, and costs 110
  Stage stage({upstream.url()}, {}, limits);
  const auto setClock = [&](const char *time, const char *dayEnds) {
    stage.books.now = at(time);
    // A clock that goes back has the sums read again, on a thread of the ledger's.
    return eventually([&] { return stage.books.ledger->standingOf("01ALICE").dayEndsMs == at(dayEnds); });
  };
  REQUIRE(setClock("2026-11-30T23:59:58.500Z", "2026-12-01T00:00:00Z"));
  auto slow = stage.sent(Stage::body(100, false, R"(,"metadata":{"user_id":"slow"})"));
  REQUIRE(eventually([&] { return stage.books.ledger->total().held != Money(); }));
  Response answer = stage.post(Stage::body());
  CHECK(answer.status == 429);
  CHECK(has(answer.body, "\"type\":\"billing_error\""));
  CHECK(has(answer.body, "spend limit reached (daily; resets 2026-12-01 00:00 UTC)\""));
  CHECK(answer.headers.at("retry-after") == "2");
  CHECK(answer.headers.at("anthropic-ratelimit-unified-status") == "rejected");
  CHECK(answer.headers.at("anthropic-ratelimit-unified-reset") == std::to_string(at("2026-12-01T00:00:00Z") / 1000));

  REQUIRE(setClock("2026-12-01T00:00:00.000Z", "2026-12-02T00:00:00Z"));
  CHECK(stage.post(Stage::body()).status == 200);
  CHECK(stage.books.ledger->total().held != Money());
  goOn = true;
  CHECK(slow.receiveResponse().status == 200);
  REQUIRE(stage.settled());
  CHECK(stage.books.ledger->spendOf("01ALICE") == Spend{micro(110), micro(110), {}});
  const auto rows = stage.books.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].atMs == at("2026-11-30T23:59:58.500Z"));
  CHECK(rows[1].atMs == at("2026-12-01T00:00:00.000Z"));
  CHECK(has(request(stage.port(), "GET", "/usage/me", kAlice).body,
            R"("resetsAt":{"daily":"2026-12-02T00:00:00Z","monthly":"2027-01-01T00:00:00Z"})"));

  limits.perUser.monthly = micro(200);
  stage.books.ledger->configure(limits); // live
  answer = stage.post(Stage::body());
  CHECK(has(answer.body, "spend limit reached (monthly; resets 2027-01-01 00:00 UTC)"));
  CHECK(answer.headers.at("retry-after") == std::to_string(31 * 86'400));
}

TEST_CASE("who gets the handle of somebody who has gone has his own money, limits and rates") {
  Upstream upstream(answerOf("200 OK", messageOf(10, 20)));
  Stage stage({upstream.url()}, [](GatewayOptions &options) { options.rates = {.requestsPerMinute = 2}; });
  stage.instances.apply(recordOf("01ALICE", 1));
  CHECK(stage.post(Stage::body()).status == 200);
  CHECK(stage.post(R"({"dailyLimitUsd":0,"monthlyLimitUsd":0})", kAdmin, "/quotas/alice").status == 200);
  CHECK(has(stage.post(Stage::body()).body, "billing_error")); // and no request is left for this minute

  stage.instances.apply(recordOf("01ALICE", 2, matrixos::InstanceStatus::Deleted));
  CHECK(request(stage.port(), "GET", "/usage/alice", kAdmin).status == 404);
  stage.instances.apply(recordOf("01NEXT", 3));
  stage.owners.erase(kToken);
  stage.owners["mxi_next"] = {"01NEXT", "alice", false, {}};
  const Response answer = stage.post(Stage::body(), {{"x-api-key", "mxi_next"}});
  CHECK(answer.status == 200);
  CHECK(answer.headers.at("anthropic-ratelimit-requests-remaining") == "1");
  CHECK(answer.headers.count("anthropic-ratelimit-unified-status") == 0); // he has no limit
  CHECK(eventually([&] { return stage.post(Stage::body()).status == 401; }));
  REQUIRE(stage.settled());
  const std::string none = R"("limits":{"dailyLimitUsd":null,"monthlyLimitUsd":null})";
  const std::string his = request(stage.port(), "GET", "/usage/alice", kAdmin).body;
  CHECK(has(his, R"("monthlyUsd":0.00011,)"));
  CHECK(has(his, none));
  const std::string before = request(stage.port(), "GET", "/usage/01ALICE", kAdmin).body;
  CHECK(has(before, R"("monthlyUsd":0.00011,)"));
  CHECK(has(before, R"("limits":{"dailyLimitUsd":0,"monthlyLimitUsd":0})"));
}

TEST_CASE("a limit of 0 refuses everything, also what costs nothing; a limit that is spent does not") {
  Upstream upstream(answerOf("200 OK", messageOf(10, 20)));
  Stage stage({upstream.url()}, [](GatewayOptions &options) { options.passed = {"/v1/files"}; });
  stage.instances.apply(recordOf("01ALICE", 1));
  const auto statuses = [&] {
    std::string all;
    for (const char *path : {"/v1/models", "/v1/files", "/v1/messages/count_tokens"}) {
      const bool writes = std::string(path) == "/v1/messages/count_tokens";
      all += std::to_string(request(stage.port(), writes ? "POST" : "GET", path, kAlice, writes ? "{}" : "").status);
    }
    return all + std::to_string(stage.post(Stage::body()).status);
  };
  const auto quota = [&](const std::string &body) { CHECK(stage.post(body, kAdmin, "/quotas/alice").status == 200); };
  CHECK(statuses() == "200200200200");
  for (const char *zero : {R"({"dailyLimitUsd":0})", R"({"dailyLimitUsd":null,"monthlyLimitUsd":0.000000000000})"}) {
    quota(zero);
    const std::size_t before = upstream.requests().size();
    CHECK(statuses() == "429429429429");
    CHECK(upstream.requests().size() == before);
  }
  CHECK(request(stage.port(), "GET", "/usage/me", kAlice).status == 200);
  quota(R"({"dailyLimitUsd":0.0001,"monthlyLimitUsd":null})"); // less than he has spent
  CHECK(statuses() == "200200200429");
  Ledger::Settings closed;
  closed.global.monthly = Money();
  stage.books.ledger->configure(closed);
  CHECK(statuses() == "429429429429");
}

TEST_CASE("quotas are exact or refused, and nothing of one that was refused stays") {
  Upstream upstream(answerOf("200 OK", messageOf(10, 20)));
  Stage stage({upstream.url()});
  stage.instances.apply(recordOf("01ALICE", 1));
  const auto quota = [&](const std::string &value) {
    return stage.post(R"({"dailyLimitUsd":)" + value + R"(,"monthlyLimitUsd":7})", kAdmin, "/quotas/alice");
  };
  CHECK(quota("9223372.036854775807").body == R"({"dailyLimitUsd":9223372.036854775807,"monthlyLimitUsd":7})");
  for (const char *value : {"9223372.036854775808", "99999999999999999999", "-1", "-0", "1e2", "1E-7",
                            "0.0000000000001", "true", "[]", "\"1e2\"", "\"-1\"", "01x"}) {
    CAPTURE(value);
    const Response answer = quota(value);
    CHECK(answer.status == 400);
    CHECK(has(answer.body, "invalid_request_error"));
  }
  CHECK(stage.books.ledger->standingOf("01ALICE").limits == Limits{Money::ofPico(INT64_MAX), micro(7'000'000)});
  CHECK(quota("null").body == R"({"dailyLimitUsd":null,"monthlyLimitUsd":7})");
}

TEST_CASE("answers say how much of a limit is spent, a refusal by the limit of all says that it refuses") {
  Upstream upstream(answerOf("200 OK", messageOf(10, 20)));
  Ledger::Settings limits;
  limits.perUser.daily = micro(10'000);
  Stage stage({upstream.url()}, {}, limits);
  const auto unified = [](const Response &answer) {
    const auto passed = answer.headers.find("anthropic-ratelimit-unified-surpassed-threshold");
    return answer.headers.at("anthropic-ratelimit-unified-status") +
           (passed == answer.headers.end() ? "" : " " + passed->second);
  };
  const auto spend = [&](std::int64_t amount) {
    REQUIRE(stage.settled());
    stage.books.spend("01ALICE", micro(amount));
    REQUIRE(stage.settled());
  };
  CHECK(unified(stage.post(Stage::body(1'800))) == "allowed"); // what it holds itself does not count
  spend(7'500);
  CHECK(unified(stage.post(Stage::body())) == "allowed_warning 0.75");
  spend(1'700);
  CHECK(unified(stage.post(Stage::body(30))) == "allowed_warning 0.75");
  REQUIRE(stage.settled());
  CHECK(unified(stage.post(Stage::body(30))) == "allowed_warning 0.95");
  limits.perUser.daily = micro(1'000'000);
  limits.global.daily = micro(9'000);
  stage.books.ledger->configure(limits);
  const Response refused = stage.post(Stage::body());
  CHECK(refused.status == 429);
  CHECK(unified(refused) == "rejected");
  CHECK(has(refused.body, "of all users; resets"));
}

TEST_CASE("a model without a price costs the dearest one, and operators are told once") {
  std::string said = messageOf(10, 20);
  said.replace(said.find("claude-haiku-4-5"), 16, "claude-novel-9-9");
  Upstream upstream(answerOf("200 OK", said));
  Stage stage({upstream.url()});
  const std::string body = R"({"model":"claude-novel-9-9","max_tokens":100,"messages":[]})";
  CHECK(stage.post(body).status == 200);
  CHECK(stage.post(body).status == 200);
  REQUIRE(stage.settled());
  CHECK(stage.books.rows().at(1).cost == micro(110));
  const auto told = [&] {
    stage.log();
    return stage.books.host->lines("a model has no price and costs the dearest one; add it to the prices");
  };
  const std::string metric = "matrixos_ai_gateway_unknown_models_total";
  REQUIRE(eventually([&] { return stage.books.host->metric(metric) == 2 && !told().empty(); }));
  const auto lines = told();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].fields.at("model") == "claude-novel-9-9");
}
