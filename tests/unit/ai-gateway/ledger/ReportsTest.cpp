// What people are told, digit by digit.
#include "ai-gateway/ledger/Reports.h"

#include "Books.h"
#include "ai-gateway/ledger/UsageRoutes.h"
#include "ai-gateway/ledger/UsdText.h"
#include "support/Errors.h"
#include "support/Text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

constexpr std::int64_t kDollar = 1'000'000'000'000;

/// Two users: one has called on two days, the other is gone and another has his handle.
class Office {
public:
  Office() {
    books.now = at("2026-11-29T10:00:00Z");
    books.reopen();
    reports.emplace(*books.ledger, [this](std::string_view handle) -> std::optional<std::string> {
      const auto found = instances.find(handle);
      if (found == instances.end()) return std::nullopt;
      return found->second;
    });
    call("A", "alice", "claude-sonnet-5", "s1", kDollar / 2, {1000, 10, 20, 30, 50, 0}, false);
    call("Z", "zoe", "claude-sonnet-5", "", 3, {1, 0, 0, 0, 1, 0}, false);
    books.now = at("2026-11-30T10:00:00Z");
    call("A", "alice", "claude-haiku-4-5", "s1", 54'399'000'001, {3, 0, 12304, 0, 550, 0}, false);
    call("A", "alice", "claude-haiku-4-5", "=s2", 1, {1, 0, 0, 0, 0, 1}, true);
    books.ledger->changeLimits("A", "alice", [](Limits &own) { own.monthly = pico(20 * kDollar); });
    books.flush();
  }

  void call(const char *id, const char *handle, const char *model, const char *session, std::int64_t cost,
            const TokenCounts &tokens, bool partial) const {
    const auto held = books.ledger->reserve({id, handle, model, session, true}, pico(cost));
    books.ledger->settle(std::get<HoldId>(held), {pico(cost), tokens, model, partial});
  }
  Reports::Query query() const {
    return [this](std::string_view name) -> std::optional<std::string_view> {
      const auto found = parameters.find(std::string(name));
      if (found == parameters.end()) return std::nullopt;
      return found->second;
    };
  }
  std::string csv(const char *who, bool byDay = false) const {
    std::string all;
    reports->csv(who, byDay, query(), [&](std::string_view piece) { all += piece; });
    return all;
  }

  Books books{{{pico(5 * kDollar), {}}, {}, std::chrono::hours{24 * 400}}};
  std::map<std::string, std::string> parameters;
  std::map<std::string, std::string, std::less<>> instances{{"alice", "A"}, {"zoe", "N"}};
  std::optional<Reports> reports;
};

/// What stands behind each mark, up to the next.
std::vector<std::string> partsOf(const std::string &text, const std::string &mark) {
  std::vector<std::string> parts;
  for (std::size_t at = text.find(mark); at != std::string::npos;) {
    const std::size_t next = text.find(mark, at + 1);
    parts.push_back(text.substr(at + mark.size(), next - at - mark.size()));
    at = next;
  }
  return parts;
}

constexpr const char *kSonnet = R"("requests":1,"partial":0,"inputTokens":1000,"outputTokens":50,"cacheReadTokens":10,)"
                                R"("cacheWrite5mTokens":20,"cacheWrite1hTokens":30,"costUsd":0.5})";

} // namespace

TEST_CASE("dollars are exact in both directions, or refused") {
  const std::pair<std::int64_t, const char *> both[] = {{0, "0"},
                                                        {1, "0.000000000001"},
                                                        {54'399'000'000, "0.054399"},
                                                        {kDollar, "1"},
                                                        {5 * kDollar + kDollar / 4, "5.25"},
                                                        {INT64_MAX, "9223372.036854775807"}};
  for (const auto &[amount, text] : both) {
    CHECK(usdText(pico(amount)) == text);
    CHECK(usdOf(text) == pico(amount));
  }
  CHECK(usdText(pico(-1)) == "-0.000000000001");
  CHECK(usdText(pico(INT64_MIN)) == "-9223372.036854775808");
  CHECK(usdOf("007.50") == pico(7 * kDollar + kDollar / 2));
  for (const char *text : {"", ".", "1.", ".5", "-1", "+1", "1e2", "0x1", " 1", "1,5", "0.0000000000001",
                           "9223372.036854775808", "99999999999999999999", "NaN"})
    CHECK_FALSE(usdOf(text));
}

TEST_CASE("one user: totals, limits, when they reset, and rows by model and session") {
  Office office;
  CHECK(office.reports->user("alice", office.query()) ==
        std::string(R"({"userId":"alice","dailyUsd":0.054399000002,"monthlyUsd":0.554399000002,"heldUsd":0,)"
                    R"("limits":{"dailyLimitUsd":5,"monthlyLimitUsd":20},)"
                    R"("resetsAt":{"daily":"2026-12-01T00:00:00Z","monthly":"2026-12-01T00:00:00Z"},)"
                    R"("byModel":[{"model":"claude-sonnet-5",)") +
            kSonnet +
            R"(,{"model":"claude-haiku-4-5","requests":2,"partial":1,"inputTokens":4,"outputTokens":550,)"
            R"("cacheReadTokens":0,"cacheWrite5mTokens":12304,"cacheWrite1hTokens":0,"costUsd":0.054399000002}],)"
            R"("bySession":[{"session":"s1","requests":2,"partial":0,"inputTokens":1003,"outputTokens":600,)"
            R"("cacheReadTokens":10,"cacheWrite5mTokens":12324,"cacheWrite1hTokens":30,"costUsd":0.554399000001},)"
            R"({"session":"=s2","requests":1,"partial":1,"inputTokens":1,"outputTokens":0,"cacheReadTokens":0,)"
            R"("cacheWrite5mTokens":0,"cacheWrite1hTokens":0,"costUsd":0.000000000001}]})");
  CHECK(office.reports->own("A", "alice") ==
        R"({"userId":"alice","dailyUsd":0.054399000002,"monthlyUsd":0.554399000002,"heldUsd":0,)"
        R"("limits":{"dailyLimitUsd":5,"monthlyLimitUsd":20},)"
        R"("resetsAt":{"daily":"2026-12-01T00:00:00Z","monthly":"2026-12-01T00:00:00Z"}})");
  office.parameters["since"] = "23h";
  CHECK_FALSE(matrixos::test::has(office.reports->user("alice", office.query()), "sonnet"));
}

TEST_CASE("who gets somebody's handle starts with nothing, who has gone is found by his instance's id") {
  Office office;
  matrixos::test::checkHas(
      office.reports->user("zoe", office.query()),
      R"("dailyUsd":0,"monthlyUsd":0,"heldUsd":0,"limits":{"dailyLimitUsd":5,"monthlyLimitUsd":null})");
  matrixos::test::checkHas(office.reports->user("Z", office.query()), R"("monthlyUsd":0.000000000003)");
  CHECK(matrixos::test::statusOf([&] { office.reports->user("nobody", office.query()); }) == Status::NotFound);
}

TEST_CASE("everybody") {
  Office office;
  const auto held = office.books.reserve("A", pico(7));
  CHECK(office.reports->summary() ==
        R"({"users":[{"userId":"handle-A","instanceId":"A","dailyUsd":0.054399000002,"monthlyUsd":0.554399000002,)"
        R"("heldUsd":0.000000000007,"limits":{"dailyLimitUsd":5,"monthlyLimitUsd":20}},)"
        R"({"userId":"zoe","instanceId":"Z","dailyUsd":0,"monthlyUsd":0.000000000003,"heldUsd":0,)"
        R"("limits":{"dailyLimitUsd":5,"monthlyLimitUsd":null}}],)"
        R"("total":{"dailyUsd":0.054399000002,"monthlyUsd":0.554399000005,"heldUsd":0.000000000007}})");
  office.books.ledger->release(std::get<HoldId>(held));
}

TEST_CASE("days, from and to") {
  Office office;
  const std::string first = std::string(R"([{"date":"2026-11-29",)") + kSonnet;
  CHECK(office.reports->daily("alice", office.query()).rfind(first + R"(,{"date":"2026-11-30","requests":2)", 0) == 0);
  office.parameters = {{"from", "2026-11-29"}, {"to", "2026-11-29"}};
  CHECK(office.reports->daily("alice", office.query()) == first + "]");
  for (const char *from : {"2026-11-31", "yesterday", "2026-11-30", "2020-01-01", "1969-12-31"}) {
    office.parameters["from"] = from;
    CHECK(matrixos::test::statusOf([&] { office.reports->daily("alice", office.query()); }) == Status::InvalidArgument);
  }
}

TEST_CASE("CSV has one call a line, and no formula") {
  Office office;
  const std::string header =
      "at,userId,instanceId,model,session,inputTokens,outputTokens,cacheReadTokens,cacheWrite5mTokens,"
      "cacheWrite1hTokens,webSearches,costUsd,partial\r\n";
  const std::string first =
      "2026-11-29T10:00:00.000Z,\"alice\",\"A\",\"claude-sonnet-5\",\"s1\",1000,50,10,20,30,0,0.5,false\r\n";
  CHECK(
      office.csv("alice") ==
      header + first +
          "2026-11-30T10:00:00.000Z,\"alice\",\"A\",\"claude-haiku-4-5\",\"s1\",3,550,0,12304,0,0,0.054399000001,"
          "false\r\n"
          "2026-11-30T10:00:00.000Z,\"alice\",\"A\",\"claude-haiku-4-5\",\"'=s2\",1,0,0,0,0,1,0.000000000001,true\r\n");
  matrixos::test::checkHas(office.csv(""), "\"zoe\",\"Z\"");
  office.parameters = {{"from", "2026-11-29"}, {"to", "2026-11-29"}};
  CHECK(office.csv("alice", true) == header + first);
  CHECK(office.csv("zoe") == header);
  office.parameters = {{"format", "xml"}};
  CHECK(matrixos::test::statusOf([&] { office.reports->wantsCsv(office.query()); }) == Status::InvalidArgument);
}

TEST_CASE("CSV of more than a page has each call once, also of one moment") {
  Office office;
  for (int i = 0; i < 2500; ++i)
    office.call("A", "alice", "m", "", 1, {}, false);
  office.books.flush();
  const std::string all = office.csv("");
  CHECK(std::count(all.begin(), all.end(), '\n') == 1 + 4 + 2500);
}

TEST_CASE("quotas: numbers set, null removes, what is missing stays, all else is refused") {
  Office office;
  const auto quota = [&](const char *body) { return office.reports->setQuota("alice", body); };
  CHECK(quota(R"({"dailyLimitUsd": 0.1})") == R"({"dailyLimitUsd":0.1,"monthlyLimitUsd":20})");
  CHECK(quota(R"({"monthlyLimitUsd": null})") == R"({"dailyLimitUsd":0.1,"monthlyLimitUsd":null})");
  CHECK(quota(R"({"dailyLimitUsd": "0", "monthlyLimitUsd": "2.5"})") == R"({"dailyLimitUsd":0,"monthlyLimitUsd":2.5})");
  CHECK(quota(R"({"dailyLimitUsd": "none"})") == R"({"dailyLimitUsd":5,"monthlyLimitUsd":2.5})");
  for (const char *body : {"", "[]", "{}", R"({"daily": 1})", R"({"dailyLimitUsd": -1})", R"({"dailyLimitUsd": "x"})",
                           R"({"dailyLimitUsd": true})", R"({"dailyLimitUsd": 1e400})", R"({"dailyLimitUsd": {}})"})
    CHECK(matrixos::test::statusOf([&] { quota(body); }) == Status::InvalidArgument);
}

TEST_CASE("the API's routes, and the table for terminals") {
  Office office;
  matrixos::test::TestHost &host = *office.books.host;
  UsageRoutes routes(host.abi(), *office.reports, [](std::string_view user) {
    return user == "ada" ? std::vector<std::string>{"alice", "zoe"} : std::vector<std::string>();
  });
  routes.publish();
  const auto get = [&](const std::string &path) { return host.request("GET", path); };
  CHECK(get("/ai/usage/summary").status == 200);
  matrixos::test::checkHas(get("/ai/usage/summary").body, R"("users":[{"userId":"alice")");
  matrixos::test::checkHas(get("/ai/usage/alice").body, R"("userId":"alice")");
  matrixos::test::checkHas(get("/ai/usage/alice/daily").body, R"([{"date":"2026-11-29")");
  CHECK(get("/ai/usage/nobody").status == 404);
  CHECK(host.request("POST", "/ai/quotas/alice", R"({"dailyLimitUsd":1})").body ==
        R"({"dailyLimitUsd":1,"monthlyLimitUsd":20})");
  const std::string alice = get("/ai/usage/alice?table=true").body;
  matrixos::test::checkHas(alice, R"({"userId":"alice",)");
  matrixos::test::checkHas(alice, R"("by":"model","rows":[{"name":"claude-sonnet-5")");
  matrixos::test::checkHas(alice, R"("costUsd":0.5,"promptTokens":1060})");
  CHECK_FALSE(matrixos::test::has(get("/ai/usage/alice").body, "\"rows\""));
  matrixos::test::checkHas(get("/ai/usage").body, R"({"by":"user","rows":[{"name":"alice","requests":3)");
  CHECK(get("/ai/usage?by=moon").status == 400);
  CHECK(get("/ai/usage/me").body == R"({"instances":[]})"); // the platform's secret has none
}

TEST_CASE("by day there is a row for each day, whole, also without calls") {
  Office office;
  const auto rows = [&](const char *since) {
    office.parameters = {{"by", "day"}, {"since", since}};
    return partsOf(office.reports->table(office.query()), R"({"name":")");
  };
  office.parameters = {{"by", "day"}};
  CHECK(office.reports->table(office.query()).find(R"({"by":"day","rows":[{"name":"2026-11-01","requests":0)") == 0);
  const std::vector<std::string> three = rows("2d");
  REQUIRE(three.size() == 3);
  CHECK(three[0].rfind(R"(2026-11-28","requests":0)", 0) == 0);
  CHECK(three[1].rfind(R"(2026-11-29","requests":2)", 0) == 0); // from its beginning, not from ten o'clock
  CHECK(three[2].rfind(R"(2026-11-30","requests":2)", 0) == 0);
  CHECK(rows("2026-11-30").size() == 1);
  CHECK(rows("2026-12-24").empty());
  CHECK(rows("1970-01-01").size() == 400);
  // What was written by a clock that was ahead is not left out.
  office.books.now = at("2026-11-29T10:00:00Z");
  CHECK(rows("2026-11-29").size() == 2);
}
