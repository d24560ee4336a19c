#include "storage/OutboxStore.h"

#include "storage/Database.h"

#include <matrixos/status.hpp>

#include <utility>

namespace matrixos::storage {
namespace {

/// A query of items, all but what they carry, as itemOf() reads them; `more` follows the columns.
std::string selectItems(std::string_view more) {
  std::string sql = "SELECT number, target, id, created_at, due_at, attempts, parked, last_error";
  sql += more;
  return sql;
}

constexpr std::size_t kItemColumns = 8;

OutboxStore::Stored itemOf(const Row &row) {
  OutboxStore::Stored item;
  item.number = row.integer(0);
  item.target = row.text(1);
  item.id = row.text(2);
  item.createdMs = row.integer(3);
  item.dueMs = row.integer(4);
  item.attempts = static_cast<std::uint32_t>(row.integer(5));
  item.parked = row.integer(6) != 0;
  item.lastError = row.text(7);
  return item;
}

void check(const OutboxStore::Item &item) {
  for (const auto &[what, text] : {std::pair{"target", &item.target}, std::pair{"id", &item.id}}) {
    if (text->empty() || text->size() > OutboxStore::kLongestName)
      throw Error(Status::InvalidArgument,
                  std::string("an item's ") + what + " has 1 to 512 bytes, not " + std::to_string(text->size()),
                  "OUTBOX_ITEM");
  }
  if (item.payload.size() > OutboxStore::kLargestPayload)
    throw Error(Status::InvalidArgument,
                "an item's payload has 256 KB at most, not " + std::to_string(item.payload.size()) + " bytes",
                "OUTBOX_ITEM");
}

} // namespace

void OutboxStore::prepare() {
  const std::lock_guard lock(mutex_);
  if (prepared_) return;
  const std::vector<Statement> schema{
      {"CREATE TABLE IF NOT EXISTS matrixos_outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, "
       "target TEXT NOT NULL, id TEXT NOT NULL, payload BLOB NOT NULL, created_at INTEGER NOT NULL, due_at INTEGER NOT "
       "NULL, attempts INTEGER NOT NULL, parked INTEGER NOT NULL, last_error TEXT NOT NULL, UNIQUE (owner, target, "
       "id))"},
      {"CREATE INDEX IF NOT EXISTS matrixos_outbox_order ON matrixos_outbox (owner, parked, target, number)"},
      {"CREATE TABLE IF NOT EXISTS matrixos_outbox_use (owner TEXT NOT NULL PRIMARY KEY, items INTEGER NOT NULL CHECK "
       "(items <= " +
       std::to_string(kMostItems) + "), bytes INTEGER NOT NULL CHECK (bytes <= " + std::to_string(kMostBytes) +
       ")) WITHOUT ROWID"},
      {"CREATE TRIGGER IF NOT EXISTS matrixos_outbox_added AFTER INSERT ON matrixos_outbox BEGIN INSERT INTO "
       "matrixos_outbox_use VALUES (new.owner, 1, length(new.payload)) ON CONFLICT (owner) DO UPDATE SET items = items "
       "+ 1, bytes = bytes + excluded.bytes; END"},
      {"CREATE TRIGGER IF NOT EXISTS matrixos_outbox_removed AFTER DELETE ON matrixos_outbox BEGIN UPDATE "
       "matrixos_outbox_use SET items = items - 1, bytes = bytes - length(old.payload) WHERE owner = old.owner; END"},
  };
  database_.execBatch(std::span<const Statement>(schema), Access{kCoreOwner});
  prepared_ = true;
}

std::vector<std::int64_t> OutboxStore::put(const Access &access, std::span<const Item> items,
                                           std::span<const Statement> statements, std::int64_t nowMs) {
  prepare();
  std::vector<Statement> batch(statements.begin(), statements.end());
  for (const Item &item : items) {
    check(item);
    Statement insert{"INSERT INTO matrixos_outbox (owner, target, id, payload, created_at, due_at, attempts, parked, "
                     "last_error) VALUES (?, ?, ?, ?, ?, ?, 0, 0, '')",
                     {access.owner, item.target, item.id, Blob{item.payload}, nowMs, nowMs},
                     1};
    insert.isCore = true;
    batch.push_back(std::move(insert));
  }
  try {
    std::vector<std::int64_t> changed = database_.execBatch(std::span<const Statement>(batch), access);
    changed.resize(statements.size());
    return changed;
  } catch (const Error &e) {
    // A constraint of the owner's own tables names these.
    const std::string what = e.what();
    if (e.reason() == "UNIQUE" && what.find("matrixos_outbox.") != std::string::npos)
      throw Error(Status::AlreadyExists, "the target has an item of that id", "OUTBOX_ID");
    if (e.reason() == "CHECK" && what.find("INSERT INTO matrixos_outbox ") != std::string::npos)
      throw Error(Status::ResourceExhausted,
                  "the outbox of " + access.owner + " is full: it holds 10,000 items or 64 MB", "OUTBOX_FULL");
    throw;
  }
}

std::vector<OutboxStore::Stored> OutboxStore::heads(const Access &access, std::size_t most) {
  prepare();
  std::vector<Stored> found;
  database_.query(
      selectItems(", payload FROM matrixos_outbox WHERE number IN (SELECT min(number) FROM matrixos_outbox WHERE "
                  "owner = ? AND parked = 0 GROUP BY target) ORDER BY due_at, number LIMIT ?"),
      {access.owner, static_cast<std::int64_t>(most)},
      [&](const Row &row) {
        found.push_back(itemOf(row));
        found.back().payload = row.blob(kItemColumns);
        return true;
      },
      access.asCore());
  return found;
}

void OutboxStore::remove(const Access &access, std::int64_t number) {
  database_.execBatch({{"DELETE FROM matrixos_outbox WHERE number = ?", {number}}}, access.asCore());
}

void OutboxStore::postpone(const Access &access, const Stored &item) {
  database_.execBatch(
      {{"UPDATE matrixos_outbox SET due_at = ?, attempts = ?, parked = ?, last_error = ? WHERE number = ?",
        {item.dueMs, item.attempts, item.parked ? 1 : 0, item.lastError, item.number}}},
      access.asCore());
}

void OutboxStore::list(const Access &access, bool parkedOnly, const std::function<bool(const Stored &)> &item) {
  prepare();
  std::string sql = selectItems(" FROM matrixos_outbox WHERE owner = ?");
  if (parkedOnly) sql += " AND parked = 1";
  sql += " ORDER BY number";
  database_.query(
      sql, {access.owner}, [&](const Row &row) { return item(itemOf(row)); }, access.asCore());
}

std::int64_t OutboxStore::changeParked(const Access &access, std::string sql, Params params, std::string_view id) {
  prepare();
  sql += " WHERE owner = ? AND target = ? AND parked = 1";
  if (!id.empty()) {
    sql += " AND id = ?";
    params.emplace_back(id);
  }
  const Statement statement{std::move(sql), std::move(params)};
  return database_.execBatch(std::span<const Statement>(&statement, 1), access.asCore()).front();
}

std::int64_t OutboxStore::retryParked(const Access &access, std::string_view target, std::string_view id,
                                      std::int64_t nowMs) {
  // Their age counts anew, or they would be parked again at once.
  return changeParked(access, "UPDATE matrixos_outbox SET parked = 0, attempts = 0, created_at = ?, due_at = ?",
                      {nowMs, nowMs, access.owner, target}, id);
}

std::int64_t OutboxStore::discardParked(const Access &access, std::string_view target, std::string_view id) {
  return changeParked(access, "DELETE FROM matrixos_outbox", {access.owner, target}, id);
}

std::map<std::string, OutboxStore::Counts> OutboxStore::allCounts() {
  std::map<std::string, Counts> all;
  {
    const std::lock_guard lock(mutex_);
    if (!prepared_) return all;
  }
  database_.query(
      "SELECT u.owner, coalesce(sum(o.parked = 0), 0), coalesce(sum(o.parked), 0) FROM matrixos_outbox_use u LEFT JOIN "
      "matrixos_outbox o ON o.owner = u.owner GROUP BY u.owner",
      {},
      [&](const Row &row) {
        all[row.textOr(0)] = {row.integer(1), row.integer(2)};
        return true;
      },
      Access{kCoreOwner});
  return all;
}

} // namespace matrixos::storage
