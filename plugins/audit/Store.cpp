#include "Store.h"

#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace matrixos::audit {

namespace {

std::optional<Row> first(std::vector<Row> rows) {
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

std::optional<Link> linkOf(std::optional<Row> row) {
  if (!row) return std::nullopt;
  return std::move(row->link);
}

} // namespace

std::vector<Row> Store::rows(const std::string &rest, const std::vector<SqlParam> &params) const {
  std::vector<Row> found;
  sql_.query("SELECT at, principal, handle, action, event, seq, hash FROM audit_log " + rest, params,
             [&](const SqlRow &row) {
               found.push_back(
                   {{row.text(0), row.text(1), row.text(2), row.text(3), row.text(4)}, {row.integer(5), row.text(6)}});
             });
  return found;
}

std::optional<Link> Store::tail() const {
  return linkOf(first(rows("ORDER BY seq DESC LIMIT 1", {})));
}

std::optional<Link> Store::find(std::int64_t seq) const {
  return linkOf(first(rows("WHERE seq = ?", {seq})));
}

std::optional<Row> Store::latest(const char *action) const {
  return first(rows("WHERE action = ? ORDER BY seq DESC LIMIT 1", {action}));
}

std::vector<Row> Store::all(const char *action) const {
  return rows("WHERE action = ? ORDER BY seq", {action});
}

std::vector<Row> Store::after(std::int64_t seq, int limit, const std::string &since) const {
  return rows("WHERE seq > ? AND at >= ? ORDER BY seq LIMIT ?", {seq, since, limit});
}

std::vector<Row> Store::list(const Filter &filter) const {
  std::string where = "WHERE seq < ?";
  std::vector<SqlParam> params{filter.before > 0 ? filter.before : std::numeric_limits<std::int64_t>::max()};
  const auto add = [&](const char *condition, const std::string &text) {
    if (text.empty()) return;
    where += condition;
    params.emplace_back(text);
  };
  add(" AND principal = ?", filter.principal);
  add(" AND handle = ?", filter.handle);
  add(" AND at >= ?", filter.since);
  const bool begins = !filter.action.empty() && filter.action.back() == '*';
  const std::string action = filter.action.substr(0, filter.action.size() - (begins ? 1 : 0));
  if (begins) params.emplace_back(static_cast<std::int64_t>(countCharacters(action)));
  where += begins ? " AND substr(action, 1, ?) = ?" : "";
  if (begins)
    params.emplace_back(action);
  else
    add(" AND action = ?", action);
  params.emplace_back(filter.limit);
  return rows(where + " ORDER BY seq DESC LIMIT ?", params);
}

std::int64_t Store::lastBefore(const std::string &at, std::int64_t limit) const {
  const auto lowest = first(after(std::numeric_limits<std::int64_t>::min(), 1));
  if (!lowest || lowest->record.at >= at) return 0;
  const std::int64_t end = lowest->link.seq + limit;
  const auto kept = linkOf(first(rows("WHERE seq < ? AND at >= ? ORDER BY seq LIMIT 1", {end, at})));
  return kept ? kept->seq - 1 : std::min(tail()->seq, end - 1);
}

void Store::append(const std::vector<Row> &rows, std::int64_t cut) const {
  std::vector<SqlStatement> batch;
  for (const Row &row : rows) {
    batch.push_back(
        {"INSERT INTO audit_log (seq, at, principal, handle, action, event, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
         {row.link.seq, row.record.at, row.record.principal, row.record.handle, row.record.action, row.record.event,
          row.link.hash},
         1});
  }
  if (cut > 0) batch.push_back({"DELETE FROM audit_log WHERE seq <= ?", {cut}});
  sql_.execBatch(batch);
}

} // namespace matrixos::audit
