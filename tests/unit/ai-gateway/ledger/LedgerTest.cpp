// What may be held, what is spent, and what a restart, a midnight and a clock that jumps leave of that.
#include "Books.h"
#include "support/Text.h"

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

constexpr auto kUserDay = Refused::By::UserDay, kUserMonth = Refused::By::UserMonth;
constexpr auto kGlobalDay = Refused::By::GlobalDay, kGlobalMonth = Refused::By::GlobalMonth;

Ledger::Settings limits(std::optional<Money> daily, std::optional<Money> monthly = {},
                        std::optional<Money> globalDaily = {}, std::optional<Money> globalMonthly = {}) {
  return {{daily, monthly}, {globalDaily, globalMonthly}, std::chrono::hours{24 * 400}};
}

} // namespace

TEST_CASE("a hold counts at once, a settlement takes its place, and a release leaves nothing") {
  Books books(limits(pico(100)));
  const HoldId first = books.held("a", pico(60));
  CHECK(books.ledger->spendOf("a") == Spend{{}, {}, pico(60)});
  CHECK(books.refused("a", pico(41)).by == kUserDay);
  const HoldId second = books.held("a", pico(40));
  books.settle(first, pico(25));
  CHECK(books.ledger->spendOf("a") == Spend{pico(25), pico(25), pico(40)});
  CHECK(books.ledger->total() == Spend{pico(25), pico(25), pico(40)});
  books.ledger->release(second);
  CHECK(books.ledger->spendOf("a") == Spend{pico(25), pico(25), {}});
  CHECK(books.refused("a", pico(76)).by == kUserDay);
  CHECK(books.flush());
  CHECK(books.rows().size() == 1);
  CHECK(books.ledger->check() == "");
}

TEST_CASE("a hold is settled or released once; whoever does it again changes nothing") {
  Books books;
  const HoldId id = books.held("a", pico(60));
  books.settle(id, pico(10));
  books.settle(id, pico(10));
  books.ledger->release(id);
  CHECK_FALSE(books.ledger->raise(id, pico(100)));
  CHECK(books.ledger->spendOf("a") == Spend{pico(10), pico(10), {}});
}

TEST_CASE("all four limits count, all or none, and of several that refuse the one that resets last is named") {
  Books books(limits(pico(100), pico(150), pico(170), pico(180)));
  books.spend("a", pico(90));
  const Refused day = books.refused("a", pico(20));
  CHECK(day.by == kUserDay);
  CHECK(day.resetsAtMs == at("2026-12-01T00:00:00Z"));
  CHECK(books.refused("a", pico(61)).by == kUserMonth);
  CHECK(books.refused("b", pico(81)).by == kGlobalDay);
  CHECK(books.refused("b", pico(91)).by == kGlobalMonth);
  books.now = at("2026-11-30T23:59:59.999Z");
  CHECK(books.refused("b", pico(91)).resetsAtMs == at("2026-12-01T00:00:00Z"));
  CHECK(books.ledger->spendOf("b") == Spend{});
  CHECK(books.ledger->figures().refused == std::array<std::uint64_t, 5>{1, 1, 1, 2, 0});
}

TEST_CASE("a limit of 0 refuses everything, also what costs nothing; limits change at once") {
  Books books(limits(pico(0)));
  CHECK(books.refused("a", {}).by == kUserDay);
  books.ledger->configure(limits({}));
  books.ledger->release(books.held("a", {}));
  books.ledger->changeLimits("a", "handle-a", [](Limits &own) { own.monthly = Money(); });
  CHECK(books.refused("a", {}).by == kUserMonth);
  books.ledger->release(books.held("b", {}));
}

TEST_CASE("somebody's own limits take the place of the default, stay over a restart, and go with the instance's id") {
  Books books(limits(pico(100)));
  const Limits now = books.ledger->changeLimits("a", "alice", [](Limits &own) { own = {pico(500), pico(700)}; });
  CHECK(now == Limits{pico(500), pico(700)});
  books.spend("a", pico(300));
  books.reopen();
  CHECK(books.refused("a", pico(201)).by == kUserDay);
  CHECK(books.ledger->standingOf("a").limits == Limits{pico(500), pico(700)});
  // Somebody else who gets the handle.
  CHECK(std::get<Refused>(books.ledger->reserve({"b", "alice", "m", "", true}, pico(101))).by == kUserDay);
  CHECK(books.ledger->standingOf("b").spend == Spend{});
  CHECK(books.ledger->changeLimits("a", "alice", [](Limits &own) { own = {}; }) == Limits{pico(100), {}});
  CHECK(books.refused("a", pico(1)).by == kUserDay);
}

TEST_CASE("a hold is raised within the limits, or stays as it was") {
  Books books(limits(pico(100)));
  const HoldId id = books.held("a", pico(10), false);
  CHECK(books.ledger->raise(id, pico(100)));
  CHECK_FALSE(books.ledger->raise(id, pico(101)));
  CHECK(books.ledger->raise(id, pico(5)));
  CHECK(books.ledger->spendOf("a").held == pico(100));
  books.settle(id, pico(120));
  CHECK(books.ledger->spendOf("a") == Spend{pico(120), pico(120), {}});
}

TEST_CASE("what cannot cost more than its hold costs no more, whatever the upstream says; nobody earns anything") {
  Books books;
  books.settle(books.held("a", pico(50)), pico(60));
  books.settle(books.held("b", pico(50), false), pico(60));
  books.settle(books.held("c", pico(-50)), pico(-60));
  CHECK(books.ledger->spendOf("a").day == pico(50));
  CHECK(books.ledger->spendOf("b").day == pico(60));
  CHECK(books.ledger->spendOf("c") == Spend{});
  CHECK(books.ledger->figures().capped == 1);
  CHECK(books.flush());
  CHECK(books.rows().front().partial);
}

TEST_CASE("amounts at the end of what can be counted neither wrap nor keep the ledger from starting again") {
  const Money most = pico(std::numeric_limits<std::int64_t>::max());
  Books books;
  const HoldId id = books.held("a", most - pico(1));
  CHECK(books.refused("b", pico(1)).by == Refused::By::Journal);
  books.settle(id, most);
  for (const char *who : {"a", "b", "b"})
    books.settle(books.held(who, pico(1), false), most);
  CHECK(books.ledger->spendOf("a").day == most);
  CHECK(books.flush());
  books.reopen();
  CHECK(books.ledger->spendOf("b").month == most);
  CHECK(books.ledger->total() == Spend{most, most, {}});
  CHECK(books.ledger->check() == "");
  CHECK(books.ledger->store().sums({"b", 0, most.pico()}, CallStore::By::Model, 10).front().cost == most);
}

TEST_CASE("a call belongs to the day in which it was reserved, also when it ends later") {
  Books books(limits(pico(100), pico(150)));
  books.now = at("2026-11-29T23:59:59Z");
  books.reopen();
  const HoldId early = books.held("a", pico(60));
  books.now = at("2026-11-30T00:00:01Z");
  CHECK(books.ledger->spendOf("a") == Spend{{}, {}, pico(60)});
  const HoldId late = books.held("a", pico(90));
  CHECK(books.refused("a", pico(11)).by == kUserMonth);
  books.settle(early, pico(50));
  CHECK(books.ledger->spendOf("a") == Spend{{}, pico(50), pico(90)});
  books.now = at("2026-12-01T00:00:00Z");
  books.settle(late, pico(80));
  CHECK(books.ledger->spendOf("a") == Spend{});
  books.spend("a", pico(100));
  CHECK(books.ledger->spendOf("a") == Spend{pico(100), pico(100), {}});
  CHECK(books.flush());
  CHECK(books.ledger->check() == "");
  const auto days = books.ledger->store().sums({"a", 0, at("2027-01-01T00:00:00Z")}, CallStore::By::Day, 10);
  REQUIRE(days.size() == 3);
  CHECK(days[0].key == "2026-11-29");
  CHECK(days[0].cost == pico(50));
  CHECK(days[1].cost == pico(80));
  CHECK(days[2].cost == pico(100));
}

TEST_CASE("a hold of a day that is over is raised within the limits of the present one, and belongs to it then") {
  Books books(limits(pico(100)));
  const HoldId stays = books.held("a", pico(60), false), goes = books.held("a", pico(30), false);
  books.now = at("2026-12-01T00:00:01Z");
  books.spend("a", pico(40));
  CHECK_FALSE(books.ledger->raise(stays, pico(61)));
  CHECK(books.ledger->raise(goes, pico(60)));
  CHECK(books.refused("a", pico(1)).by == kUserDay);
  books.settle(stays, pico(60));
  books.settle(goes, pico(55));
  CHECK(books.ledger->spendOf("a") == Spend{pico(95), pico(95), {}});
  CHECK(books.flush());
  CHECK(books.ledger->check() == "");
  books.now = at("2026-11-30T13:00:00Z");
  books.reopen();
  CHECK(books.ledger->spendOf("a").day == pico(60));
}

TEST_CASE("a clock that steps back opens no budget again, and none that was not spent stays closed") {
  Books books(limits(pico(100)));
  books.spend("a", pico(100));
  books.now = at("2026-12-01T00:00:05Z");
  books.spend("a", pico(70));
  // Back over midnight: that day is spent, until the rows have been read the later one counts.
  books.now = at("2026-11-30T23:59:58Z");
  CHECK(books.refused("a", pico(31)).by == kUserDay);
  CHECK(eventually([&] { return books.ledger->standingOf("a").dayEndsMs == at("2026-12-01T00:00:00Z"); }));
  CHECK(books.ledger->spendOf("a") == Spend{pico(100), pico(100), {}});
  CHECK(books.refused("a", pico(1)).by == kUserDay);
  // And on again: what was spent of that day is not forgotten.
  books.now = at("2026-12-01T00:00:00Z");
  CHECK(std::holds_alternative<Refused>(books.reserve("a", pico(31))));
  CHECK(eventually([&] { return books.ledger->standingOf("a").dayEndsMs == at("2026-12-02T00:00:00Z"); }));
  CHECK(books.ledger->spendOf("a") == Spend{pico(70), pico(70), {}});
  // Years ahead by mistake, and right again.
  books.now = at("2036-05-05T00:00:00Z");
  books.spend("a", pico(100));
  books.now = at("2026-12-02T08:00:00Z");
  CHECK(eventually([&] { return books.ledger->spendOf("a") == Spend{{}, pico(70), {}}; }));
  books.spend("a", pico(100));
  CHECK(books.flush());
  CHECK(books.ledger->check() == "");
  // The days after it begin as they should, too, although there are later rows.
  books.now = at("2026-12-03T00:00:00Z");
  CHECK(eventually([&] { return books.ledger->spendOf("a") == Spend{{}, pico(170), {}}; }));
}

TEST_CASE("a clock that steps back into another month and past where it was forgets nothing of that month") {
  Books books(limits({}, pico(100)));
  books.now = at("2026-12-05T12:00:00Z");
  books.spend("a", pico(90));
  books.now = at("2026-11-30T12:00:00Z");
  CHECK(eventually([&] { return books.ledger->spendOf("a") == Spend{}; }));
  books.now = at("2026-12-06T12:00:00Z");
  CHECK(eventually([&] { return books.ledger->spendOf("a") == Spend{{}, pico(90), {}}; }));
  CHECK(books.refused("a", pico(11)).by == kUserMonth);
}

TEST_CASE("totals are those of the rows after a restart, and no number is given twice") {
  Books books(limits(pico(1000)));
  std::uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    const auto id = static_cast<std::uint64_t>(books.held("a", pico(10)));
    CHECK(id > last);
    last = id;
    books.ledger->release(HoldId{id});
    books.spend("a", pico(7));
    books.spend("b", pico(5));
    books.reopen();
    CHECK(books.ledger->spendOf("a") == Spend{pico(7 * (round + 1)), pico(7 * (round + 1)), {}});
    CHECK(books.ledger->total().day == pico(12 * (round + 1)));
    CHECK(books.ledger->check() == "");
  }
}

TEST_CASE("a crash charges what was in flight at its hold, and what was settled at its cost, once") {
  Books books(limits(pico(1000)));
  books.refusesRows = true;
  books.spend("a", pico(7));
  books.ledger->release(books.held("a", pico(50)));
  const HoldId raised = books.held("a", pico(10), false);
  CHECK(books.ledger->raise(raised, pico(40)));
  books.held("b", pico(100));
  books.crash();
  CHECK(books.ledger->figures().recovered == 2);
  CHECK(books.ledger->spendOf("a") == Spend{pico(47), pico(47), {}});
  CHECK(books.ledger->spendOf("b") == Spend{pico(100), pico(100), {}});
  CHECK(books.flush());
  books.crash();
  CHECK(books.ledger->total() == Spend{pico(147), pico(147), {}});
  CHECK(books.ledger->check() == "");
  const auto rows = books.rows();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].cost == pico(7));
  CHECK_FALSE(rows[0].partial);
  CHECK(rows[1].cost == pico(40));
  CHECK(rows[1].partial);
  CHECK(rows[2].model == "claude-haiku-4-5");
  CHECK(rows[2].partial);
}

TEST_CASE("while the database takes no rows calls go on as long as they can be written down, and operators know") {
  Books books(limits({}), 300);
  books.refusesRows = true;
  int spent = 0;
  for (; spent < 300; ++spent)
    books.spend("a", pico(1));
  CHECK(eventually([&] { return books.host->degraded().find("the disk is full") != std::string::npos; }));
  matrixos::test::checkHas(books.refused("a", pico(1)).why, "the disk is full");
  CHECK_FALSE(books.ledger->flush());
  books.refusesRows = false;
  CHECK(eventually([&] { return books.ledger->figures().unwritten == 0; }));
  CHECK(eventually([&] { return books.host->degraded().empty(); }));
  books.spend("a", pico(1));
  CHECK(books.ledger->spendOf("a").day == pico(301));
  CHECK(books.flush());
  CHECK(books.rows().size() == 301);
  CHECK(books.ledger->check() == "");
}

TEST_CASE("labels of callers are texts, and not too long ones") {
  Books books;
  const std::string model(100, 'm'), session = "a\nb\x01\xFF\xFE" + std::string(100, 's');
  const HoldId id = std::get<HoldId>(books.ledger->reserve({"a", "alice", model, session, true}, pico(1)));
  books.ledger->settle(id, {pico(1), {}, "", false});
  CHECK(std::get<Refused>(books.ledger->reserve({std::string(27, 'A'), "x", "m", "", true}, pico(1))).by ==
        Refused::By::Journal);
  CHECK(books.flush());
  CHECK(books.rows()[0].model == std::string(63, 'm'));
  CHECK(books.rows()[0].session == "a?b???" + std::string(57, 's'));
}

TEST_CASE("rows go when they are old enough, and never those of the present month") {
  Books books(limits({}));
  books.now = at("2026-10-31T12:00:00Z");
  books.reopen();
  books.spend("a", pico(3));
  books.now = at("2026-11-01T12:00:00Z");
  books.spend("a", pico(5));
  books.now = at("2026-11-30T12:00:00Z");
  books.settings.retention = std::chrono::hours{24};
  books.reopen();
  // The thread looks after the table when it begins.
  books.spend("a", pico(1));
  CHECK(eventually([&] { return books.rows().size() == 2; }));
  CHECK(books.ledger->spendOf("a").month == pico(6));
  CHECK(books.ledger->check() == "");
}

TEST_CASE("metrics tell how many calls are held, wait for a row, and were refused") {
  Books books(limits(pico(100)));
  books.refusesRows = true;
  for (int i = 0; i < 10; ++i)
    books.spend("a", pico(1));
  const HoldId open = books.held("a", pico(90));
  books.refused("a", pico(1));
  CHECK(eventually([&] { return books.host->metric("matrixos_ai_gateway_unwritten_calls") == 10; }));
  CHECK(eventually([&] { return books.host->metric("matrixos_ai_gateway_held_calls") == 1; }));
  CHECK(books.host->metric("matrixos_ai_gateway_held_usd") == 90 / 1e12);
  CHECK(eventually([&] { return books.host->metric("matrixos_ai_gateway_refused_total{by=\"user_day\"}") == 1; }));
  CHECK(books.host->metric("matrixos_ai_gateway_refused_total") == 1);
  books.ledger->release(open);
  books.refusesRows = false;
  CHECK(eventually([&] { return books.host->metric("matrixos_ai_gateway_unwritten_calls") == 0; }));
  CHECK(eventually([&] { return books.host->metric("matrixos_ai_gateway_held_calls") == 0; }));
  CHECK(books.host->metric("matrixos_ai_gateway_held_usd") == 0);
}
