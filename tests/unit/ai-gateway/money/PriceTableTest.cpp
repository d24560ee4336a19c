#include "Kit.h"
#include "support/Errors.h"
#include "support/Text.h"

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

const std::string kFive = R"("input":1,"write_5m":1.25,"write_1h":2,"read":0.1,"output":5)";

std::string file(const std::string &models,
                 const std::string &rest = R"("geo":{"us":1.1},"batch":0.5,"web_search":0.01)") {
  return R"({"unit":"USD per million tokens","models":[)" + models + "]," + rest + "}";
}
std::string row(const std::string &model, const std::string &more = {}) {
  return R"({"model":")" + model + "\"," + kFive + more + "}";
}
/// A million tokens of input, by a row's own mark.
Money input(const PriceTable &table, std::string_view model, std::int64_t at = kNow) {
  TokenCounts counts;
  counts.input = 1'000'000;
  return table.price(model, at, counts, {}).money;
}
std::string fault(const std::string &text) {
  std::string said;
  CHECK(matrixos::test::statusOf([&] { PriceTable::parse(text); }, &said) == Status::InvalidArgument);
  return said;
}

} // namespace

TEST_CASE("prices: those that ship") {
  struct Row {
    const char *model;
    const char *five[5]; // input, write 5m, write 1h, read, output; dollars for a million
  };
  for (const auto &[model, five] :
       std::initializer_list<Row>{{"claude-fable-5", {"10", "12.5", "20", "1", "50"}},
                                  {"claude-fable-5-1", {"10", "12.5", "20", "0.25", "50"}},
                                  {"claude-fable-5-2", {"8", "10", "16", "0.2", "40"}},
                                  {"claude-mythos-5-2", {"8", "10", "16", "0.2", "40"}},
                                  {"claude-opus-5-5", {"4", "5", "8", "0.2", "20"}},
                                  {"claude-opus-5", {"5", "6.25", "10", "0.5", "25"}},
                                  {"claude-opus-4-8", {"5", "6.25", "10", "0.5", "25"}},
                                  {"claude-opus-4-5-20251101", {"5", "6.25", "10", "0.5", "25"}},
                                  {"claude-opus-4-1-20250805", {"15", "18.75", "30", "1.5", "75"}},
                                  {"claude-opus-4-20250514", {"15", "18.75", "30", "1.5", "75"}},
                                  {"claude-opus-4-0", {"15", "18.75", "30", "1.5", "75"}},
                                  {"claude-sonnet-5-5", {"2", "2.5", "4", "0.1", "10"}},
                                  {"claude-sonnet-5", {"2", "2.5", "4", "0.2", "10"}},
                                  {"claude-sonnet-4-6", {"3", "3.75", "6", "0.3", "15"}},
                                  {"claude-sonnet-4-5@20250929", {"3", "3.75", "6", "0.3", "15"}},
                                  {"claude-sonnet-4-20250514", {"3", "3.75", "6", "0.3", "15"}},
                                  {"claude-haiku-5-5", {"0.1", "0.125", "0.2", "0.01", "0.5"}},
                                  {"claude-haiku-4-5", {"1", "1.25", "2", "0.1", "5"}},
                                  {"claude-3-5-haiku-latest", {"0.8", "1", "1.6", "0.08", "4"}}}) {
    CAPTURE(model);
    const std::uint32_t TokenCounts::*const kinds[] = {&TokenCounts::input, &TokenCounts::cacheWrite5m,
                                                       &TokenCounts::cacheWrite1h, &TokenCounts::cacheRead,
                                                       &TokenCounts::output};
    for (std::size_t i = 0; i < std::size(kinds); ++i) {
      CAPTURE(i);
      TokenCounts counts;
      const_cast<std::uint32_t &>(counts.*kinds[i]) = 100'000;
      const auto price = prices().price(model, kNow, counts, {});
      CHECK(price.known);
      CHECK((price.money * 10).pico() == usd(five[i]).pico());
    }
  }
}

TEST_CASE("prices: a model goes by its longest name, with nothing or a date behind it") {
  const auto table =
      PriceTable::parse(file(row("claude-x", R"(,"aliases":["x"])") + "," +
                             R"({"model":"claude-x-2","input":7,"write_5m":8,"write_1h":9,"read":1,"output":9})"));
  for (const char *model :
       {"claude-x", "claude-x-20260101", "claude-x-latest", "x", "x-20260101", "claude-x@20260101"}) {
    CAPTURE(model);
    CHECK(input(*table, model) == usd("1"));
  }
  CHECK(input(*table, "claude-x-2") == usd("7"));
  CHECK(input(*table, "claude-x-2-20260101") == usd("7"));
  for (const char *model :
       {"", "claude", "claude-x-3", "claude-x-2026010", "claude-x-2026010a", "claude-x20260101", "Claude-x", "y"}) {
    CAPTURE(model);
    const auto price = table->price(model, kNow, {}, {});
    CHECK_FALSE(price.known);
    CHECK(price.model == "claude-x-2");
  }
}

TEST_CASE("prices: rows have their times") {
  const auto at = [](const char *from, const char *price) {
    return R"({"model":"m","from":")" + std::string(from) + R"(","input":)" + price +
           R"(,"write_5m":9,"write_1h":9,"read":0,"output":9})";
  };
  const auto table = PriceTable::parse(file(at("2026-10-07", "3") + "," + at("2026-01-01", "1")));
  CHECK(input(*table, "m", day("2025-01-01")) == usd("1")); // nothing is cheaper for being early
  CHECK(input(*table, "m", day("2026-10-07") - 1) == usd("1"));
  CHECK(input(*table, "m", day("2026-10-07")) == usd("3"));

  const auto ended =
      PriceTable::parse(file(row("m", R"(,"until":"2026-01-01")") + "," +
                             R"({"model":"n","input":2,"write_5m":2,"write_1h":2,"read":2,"output":2})"));
  CHECK(ended->price("m", day("2026-01-01") - 1, {}, {}).known);
  CHECK_FALSE(ended->price("m", day("2026-01-01"), {}, {}).known);
  CHECK(ended->price("m", day("2026-01-01"), {}, {}).model == "n"); // the dearest of those that hold
}

TEST_CASE("prices: decimals are exact") {
  const auto table = PriceTable::parse(
      file(R"({"model":"m","input":0.000001,"write_5m":0.1,"write_1h":1000000,"read":0,"output":0.3000000000})"));
  TokenCounts counts;
  counts.input = counts.output = counts.cacheWrite5m = 1;
  CHECK(table->price("m", kNow, counts, {}).money == Money::ofPico(1 + 300'000 + 100'000));
}

TEST_CASE("prices: a bad file is refused with the place") {
  const std::pair<std::string, const char *> bad[] = {
      {"", "no JSON"},
      {"[]", "has to be an object"},
      {"{", "no JSON"},
      {file(row("m")) + "x", "no JSON"},
      {std::string(20, '['), "too deeply"},
      {R"({"unit":"EUR"})", "unit"},
      {file(""), "models"},
      {file("{}"), "models[0].model is missing"},
      {file(row("m") + "," + row("")), "models[1].model"},
      {file(R"({"model":"m"})"), "models[0].input is missing"},
      {file(row("m", R"(,"output":3)")), "\"output\" stands twice"},
      {file(row("m", R"(,"untill":"2026-01-01")")), "models[0].untill"},
      {file(row("m", R"(,"from":"2026-02-30")")), "models[0].from"},
      {file(row("m", R"(,"from":"2026-02-01","until":"2026-02-01")")), "models[0].until"},
      {file(row("m", R"(,"above":{"prompt":100000})")), "models[0].above.input is missing"},
      {file(row("m", R"(,"above":{"prompt":1.5,)" + kFive + "}")), "models[0].above.prompt"},
      {file(row("m", R"(,"fast":3)")), "models[0].fast"},
      {file(row("m", R"(,"aliases":"x")")), "models[0].aliases"},
      {file(row("m", R"(,"aliases":[1])")), "models[0].aliases"},
      {file(row("m") + "," + row("m")), "models[1].from"},
      {file(row("m") + "," + row("n", R"(,"aliases":["m"])")), "models[1].aliases"},
      {file(row("n", R"(,"aliases":["m"])") + "," + row("m")), "models[1].model"},
      {file(row("m"), R"("web_search":-1)"), "web_search"},
      {file(row("m"), R"("geo":{})"), "web_search is missing"},
      {file(row("m"), R"("web_search":0.01,"geo":{"us":"x"})"), "geo.us"},
      {file(row("m"), R"("web_search":0.01,"batch":1e300)"), "batch"}};
  for (const auto &[text, place] : bad) {
    CAPTURE(text);
    matrixos::test::checkHas(fault(text), place);
  }
  for (const char *price :
       {"-1", "1e1", "0.0000001", "1000001", "99999999999999999999", "\"1\"", "null", "true", "[1]", "{}"}) {
    CAPTURE(price);
    matrixos::test::checkHas(fault(file(R"({"model":"m","input":)" + std::string(price) +
                                        R"(,"write_5m":1,"write_1h":1,"read":1,"output":1})")),
                             "models[0].input");
  }
}
