#include "CallStore.h"

#include <matrixos/text/time.hpp>

#include <algorithm>
#include <map>

namespace matrixos::gateway {

namespace {

/// SQLite's sum() fails when it is too much for 64 bits, as a few calls that cost the most that can be written would
/// be: parts cannot be.
constexpr const char *kCostSum = "sum(cost / 1000000) AS much, sum(cost % 1000000) AS little";

Money costOf(const SqlRow &row, std::uint32_t column) {
  return Money::ofPico(1'000'000) * static_cast<std::uint64_t>(std::max<std::int64_t>(row.integer(column), 0)) +
         Money::ofPico(row.integer(column + 1));
}

SqlParam limitOf(const std::optional<Money> &limit) {
  return limit ? SqlParam(limit->pico()) : SqlParam(nullptr);
}

std::optional<Money> limitOf(const SqlRow &row, std::uint32_t column) {
  if (row.isNull(column)) return std::nullopt;
  return Money::ofPico(row.integer(column));
}

constexpr std::string_view kInsert =
    "INSERT OR IGNORE INTO ai_gateway_calls (id, user_id, at, model, session, input, output, cache_read, "
    "cache_write_5m, "
    "cache_write_1h, web_searches, cost, partial) SELECT ?, user_id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM "
    "ai_gateway_users WHERE instance = ?";

constexpr std::string_view kName = "INSERT INTO ai_gateway_users (instance, handle) VALUES (?, ?) ON CONFLICT "
                                   "(instance) DO UPDATE SET handle = excluded.handle WHERE handle <> excluded.handle";

SqlStatement insertOf(const Record &record) {
  const TokenCounts &tokens = record.tokens;
  const auto number = [](std::uint32_t count) { return SqlParam(static_cast<std::int64_t>(count)); };
  return {kInsert,
          {static_cast<std::int64_t>(record.id), record.atMs, record.model.view(), record.session.view(),
           number(tokens.input), number(tokens.output), number(tokens.cacheRead), number(tokens.cacheWrite5m),
           number(tokens.cacheWrite1h), number(tokens.webSearches), record.cost.pico(), record.partial ? 1 : 0,
           record.instance.view()}};
}

} // namespace

void CallStore::append(std::span<const Record> records) const {
  std::map<std::string_view, std::string_view> handles;
  for (const Record &record : records)
    handles[record.instance.view()] = record.handle.view();
  std::vector<SqlStatement> batch;
  batch.reserve(records.size() + handles.size());
  for (const auto &[instance, handle] : handles)
    batch.push_back({kName, {instance, handle}});
  for (const Record &record : records)
    batch.push_back(insertOf(record));
  sql_.execBatch(batch);
}

bool CallStore::has(std::uint64_t id) const {
  bool found = false;
  sql_.query("SELECT 1 FROM ai_gateway_calls WHERE id = ?", {static_cast<std::int64_t>(id)},
             [&](const SqlRow &) { found = true; });
  return found;
}

std::uint64_t CallStore::lastId() const {
  std::int64_t last = 0;
  sql_.query("SELECT max(id) FROM ai_gateway_calls", {}, [&](const SqlRow &row) { last = row.integer(0); });
  return static_cast<std::uint64_t>(last);
}

std::int64_t CallStore::latestMs() const {
  std::int64_t latest = 0;
  sql_.query("SELECT max(at) FROM ai_gateway_calls", {}, [&](const SqlRow &row) { latest = row.integer(0); });
  return latest;
}

void CallStore::eachPerson(const std::function<void(const Person &)> &person) const {
  sql_.query("SELECT instance, handle, daily_limit, monthly_limit FROM ai_gateway_users", {}, [&](const SqlRow &row) {
    person({row.text(0), row.text(1), {limitOf(row, 2), limitOf(row, 3)}});
  });
}

std::optional<std::string> CallStore::handleOf(std::string_view instanceId) const {
  std::optional<std::string> handle;
  sql_.query("SELECT handle FROM ai_gateway_users WHERE instance = ?", {instanceId},
             [&](const SqlRow &row) { handle = row.text(0); });
  return handle;
}

void CallStore::setLimits(const Person &person) const {
  sql_.execBatch({{kName, {person.instance, person.handle}},
                  {"UPDATE ai_gateway_users SET daily_limit = ?, monthly_limit = ? WHERE instance = ?",
                   {limitOf(person.own.daily), limitOf(person.own.monthly), person.instance},
                   1}});
}

void CallStore::eachSpent(std::int64_t day, const std::function<void(const Person &, Money)> &spent) const {
  sql_.query("SELECT instance, handle, much, little FROM (SELECT user_id, " + std::string(kCostSum) +
                 " FROM ai_gateway_calls WHERE at >= ? AND at < ? GROUP BY user_id) JOIN ai_gateway_users USING "
                 "(user_id)",
             {day * kDayMs, (day + 1) * kDayMs}, [&](const SqlRow &row) {
               spent({row.text(0), row.text(1), {}}, costOf(row, 2));
             });
}

std::vector<CallSums> CallStore::sums(const CallRange &range, By by, int most) const {
  struct Way {
    const char *key, *group;
  };
  static constexpr Way kWays[] = {{"(SELECT handle FROM ai_gateway_users u WHERE u.user_id = c.user_id)", "user_id"},
                                  {"model", "model"},
                                  {"session", "session"},
                                  {"at / 86400000", "at / 86400000"}};
  const Way &way = kWays[static_cast<std::size_t>(by)];
  std::string sql = std::string("SELECT ") + way.key +
                    ", count(*), sum(partial), sum(input), sum(output), sum(cache_read), sum(cache_write_5m), "
                    "sum(cache_write_1h), " +
                    kCostSum + " FROM ai_gateway_calls c WHERE at >= ? AND at < ?";
  std::vector<SqlParam> params{range.fromMs, range.toMs};
  if (!range.instance.empty()) {
    sql += " AND user_id = (SELECT user_id FROM ai_gateway_users WHERE instance = ?)";
    params.emplace_back(range.instance);
  }
  sql += std::string(" GROUP BY ") + way.group + " ORDER BY " +
         (by == By::Day ? "1" : "sum(cost / 1000000.0) DESC, 1") + " LIMIT ?";
  params.emplace_back(most);
  std::vector<CallSums> all;
  sql_.query(sql, params, [&](const SqlRow &row) {
    all.push_back({by == By::Day ? formatTime(row.integer(0) * kDayMs).substr(0, 10) : row.text(0), row.integer(1),
                   row.integer(2), row.integer(3), row.integer(4), row.integer(5), row.integer(6), row.integer(7),
                   costOf(row, 8)});
  });
  return all;
}

std::vector<CallRow> CallStore::rows(const CallRange &range, const Place &after, int most) const {
  std::string sql = "SELECT id, at, instance, handle, model, session, input, output, cache_read, cache_write_5m, "
                    "cache_write_1h, web_searches, cost, partial FROM ai_gateway_calls JOIN ai_gateway_users USING "
                    "(user_id) WHERE at >= ? AND at < ? AND (at > ? OR id > ?)";
  std::vector<SqlParam> params{std::max(range.fromMs, after.atMs), range.toMs, after.atMs, after.id};
  if (!range.instance.empty()) {
    sql += " AND user_id = (SELECT user_id FROM ai_gateway_users WHERE instance = ?)";
    params.emplace_back(range.instance);
  }
  params.emplace_back(most);
  std::vector<CallRow> all;
  sql_.query(sql + " ORDER BY at, id LIMIT ?", params, [&](const SqlRow &row) {
    const auto count = [&row](std::uint32_t column) { return static_cast<std::uint32_t>(row.integer(column)); };
    all.push_back({row.integer(0),
                   row.integer(1),
                   row.text(2),
                   row.text(3),
                   row.text(4),
                   row.text(5),
                   {count(6), count(8), count(9), count(10), count(7), count(11)},
                   Money::ofPico(row.integer(12)),
                   row.integer(13) != 0});
  });
  return all;
}

std::int64_t CallStore::removeBefore(std::int64_t ms, int most) const {
  return sql_
      .execBatch({{"DELETE FROM ai_gateway_calls WHERE id IN (SELECT id FROM ai_gateway_calls WHERE at < ? LIMIT ?)",
                   {ms, most}}})
      .front();
}

} // namespace matrixos::gateway
