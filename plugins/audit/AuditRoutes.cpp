#include "AuditRoutes.h"

#include "Verification.h"

#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <limits>
#include <optional>

namespace matrixos::audit {

namespace {

constexpr const char *kMayRead = "operator:audit:read";
constexpr int kMostListed = 1000;
constexpr int kPage = 500;

/// A time, or how long ago: "90m", "24h", "7d".
std::string sinceOf(std::string_view text) {
  if (text.empty()) return {};
  if (const auto time = parseTime(text)) return formatTime(*time);
  const std::size_t unit = std::string_view("smhd").find(text.back());
  if (unit == std::string_view::npos)
    throw Error(Status::InvalidArgument, "\"since\" has to be a time, like 2026-11-23T15:04:05Z, or like 24h or 7d",
                "BAD_PARAMETER");
  constexpr std::int64_t kUnits[] = {1000, 60'000, 3'600'000, 86'400'000};
  const std::int64_t count = parameterNumber("since", text.substr(0, text.size() - 1), 100'000);
  return formatTime(wallClockMs() - count * kUnits[unit]);
}

std::string text(const Exchange &exchange, std::string_view name) {
  return std::string(exchange.queryParam(name).value_or(""));
}

} // namespace

void AuditRoutes::publish() {
  routes_.add(
      "GET", "/audit", kMayRead, "Lists what people did, newest first", [this](Exchange &exchange) { list(exchange); },
      0);
  routes_.add(
      "GET", "/audit/verify", kMayRead,
      "Whether the audit log is as it was written; 409 names the first row that is not",
      [this](Exchange &exchange) { verify(exchange); }, 0);
  routes_.add(
      "GET", "/audit/export", kMayRead, "The audit log, oldest first, one JSON object a line",
      [this](Exchange &exchange) { exportAll(exchange); }, 0);
  routes_.publish();
}

void AuditRoutes::list(Exchange &exchange) const {
  Filter filter;
  filter.principal = text(exchange, "actor");
  filter.handle = text(exchange, "handle");
  filter.action = text(exchange, "action");
  filter.since = sinceOf(text(exchange, "since"));
  filter.before = exchange.queryNumber("before", std::numeric_limits<std::int64_t>::max(), 0);
  filter.limit = static_cast<int>(exchange.queryNumber("limit", kMostListed, filter.limit));
  const std::vector<Row> rows = store_.list(filter);
  JsonArray records;
  for (const Row &row : rows)
    records.add(shownJson(row));
  JsonObject answer;
  answer.addRaw("records", std::move(records).str());
  if (rows.size() == static_cast<std::size_t>(filter.limit)) answer.add("next", rows.back().link.seq);
  exchange.json(200, std::move(answer).str());
}

void AuditRoutes::verify(Exchange &exchange) const {
  const auto held = writer_.holdCuts();
  Verification verification(store_, writer_.head());
  const auto fault = verification.run(exchange.queryNumber("from", std::numeric_limits<std::int64_t>::max(), 0));
  if (fault)
    throw Error(Status::Aborted,
                "the audit log is not as it was written: row " + std::to_string(fault->seq) + " " + fault->what,
                "AUDIT_BROKEN");
  JsonObject answer;
  answer.add("ok", true).add("rows", verification.rows()).add("seq", verification.last().seq);
  exchange.json(200, std::move(answer.add("hash", verification.last().hash)).str());
}

void AuditRoutes::exportAll(Exchange &exchange) const {
  const std::string since = sinceOf(text(exchange, "since"));
  std::int64_t reached = std::numeric_limits<std::int64_t>::min();
  exchange.begin(200, "application/x-ndjson");
  // In pages: a client that is slow holds no query.
  for (bool more = true; more;) {
    const std::vector<Row> page = store_.after(reached, kPage, since);
    more = page.size() == static_cast<std::size_t>(kPage);
    std::string lines;
    for (const Row &row : page) {
      reached = row.link.seq;
      lines += exportedJson(row) + "\n";
    }
    exchange.write(lines);
  }
  exchange.end();
}

} // namespace matrixos::audit
