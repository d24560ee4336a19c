#include "CallStore.h"

#include <matrixos/status.hpp>
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

constexpr std::size_t kColumns = 13;
constexpr std::size_t kTogether = 16; // rows of one statement, which cost less than as many statements
constexpr std::size_t kMostNamed = 65'536;

/// Of so many rows.
std::string insertOf(std::size_t rows) {
  std::string sql =
      "INSERT OR IGNORE INTO ai_gateway_calls (id, user_id, at, model, session, input, output, cache_read, "
      "cache_write_5m, cache_write_1h, web_searches, cost, partial) VALUES ";
  for (std::size_t row = 0; row < rows; ++row)
    sql += std::string(row == 0 ? "" : ", ") + "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
  return sql;
}

void addRow(std::vector<SqlParam> &params, const Record &record, std::int64_t userId) {
  const TokenCounts &tokens = record.tokens;
  params.insert(params.end(), {static_cast<std::int64_t>(record.id), userId, record.atMs, record.model.view(),
                               record.session.view()});
  for (const std::uint32_t count :
       {tokens.input, tokens.output, tokens.cacheRead, tokens.cacheWrite5m, tokens.cacheWrite1h, tokens.webSearches})
    params.emplace_back(static_cast<std::int64_t>(count));
  params.emplace_back(record.cost.pico());
  params.emplace_back(record.partial ? 1 : 0);
}

constexpr std::string_view kName = "INSERT INTO ai_gateway_users (instance, handle) VALUES (?, ?) ON CONFLICT "
                                   "(instance) DO UPDATE SET handle = excluded.handle WHERE handle <> excluded.handle";

} // namespace

void CallStore::append(std::span<const Record> records) {
  if (named_.size() > kMostNamed) named_.clear();
  name(records);
  static const std::string kMany = insertOf(kTogether), kOne = insertOf(1);
  std::vector<SqlStatement> batch;
  batch.reserve(records.size() / kTogether + kTogether);
  while (!records.empty()) {
    const std::size_t rows = records.size() >= kTogether ? kTogether : 1;
    SqlStatement &insert = batch.emplace_back(SqlStatement{rows == 1 ? kOne : kMany, {}});
    insert.params.reserve(rows * kColumns);
    for (const Record &record : records.first(rows))
      addRow(insert.params, record, named_.find(record.instance.view())->second.userId);
    records = records.subspan(rows);
  }
  try {
    sql_.execBatch(batch);
  } catch (const Error &) {
    named_.clear(); // should the table be another one than it was
    throw;
  }
}

void CallStore::name(std::span<const Record> records) {
  std::map<std::string_view, std::string_view> handles;
  for (const Record &record : records)
    handles[record.instance.view()] = record.handle.view();
  std::erase_if(handles, [this](const auto &pair) {
    const auto found = named_.find(pair.first);
    return found != named_.end() && found->second.handle == pair.second;
  });
  if (handles.empty()) return;
  std::vector<SqlStatement> batch;
  for (const auto &[instance, handle] : handles)
    batch.push_back({kName, {instance, handle}});
  sql_.execBatch(batch);
  for (const auto &[instance, handle] : handles)
    sql_.query("SELECT user_id FROM ai_gateway_users WHERE instance = ?", {instance}, [&](const SqlRow &row) {
      named_[std::string(instance)] = {row.integer(0), std::string(handle)};
    });
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
