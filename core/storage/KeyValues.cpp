#include "storage/KeyValues.h"

#include "storage/Database.h"

#include <matrixos/status.hpp>

#include <utility>
#include <vector>

namespace matrixos::storage {
namespace {

Blob blob(std::string_view bytes) {
  return {std::string(bytes)};
}

void checkKey(std::string_view key) {
  if (key.empty() || key.size() > KeyValues::kLongestKey)
    throw Error(Status::InvalidArgument, "a key has 1 to 512 bytes, not " + std::to_string(key.size()), "KV_KEY");
}

/// The first text after all that begin with this one; empty when there is none.
std::string after(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff)
    end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

} // namespace

void KeyValues::prepare() {
  const std::lock_guard lock(mutex_);
  if (lastVersion_ >= 0) return;
  const std::string keys = std::to_string(kMostKeys), bytes = std::to_string(kMostBytes);
  const std::vector<Statement> schema{
      {"CREATE TABLE IF NOT EXISTS matrixos_kv (version INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, "
       "key BLOB NOT NULL, value BLOB NOT NULL, UNIQUE (owner, key))"},
      {"CREATE TABLE IF NOT EXISTS matrixos_kv_use (owner TEXT NOT NULL PRIMARY KEY, keys INTEGER NOT NULL CHECK (keys "
       "<= " +
       keys + "), bytes INTEGER NOT NULL CHECK (bytes <= " + bytes + ")) WITHOUT ROWID"},
      {"CREATE TRIGGER IF NOT EXISTS matrixos_kv_added AFTER INSERT ON matrixos_kv BEGIN INSERT INTO matrixos_kv_use "
       "VALUES (new.owner, 1, length(new.key) + length(new.value)) ON CONFLICT (owner) DO UPDATE SET keys = keys + 1, "
       "bytes = bytes + excluded.bytes; END"},
      {"CREATE TRIGGER IF NOT EXISTS matrixos_kv_removed AFTER DELETE ON matrixos_kv BEGIN UPDATE matrixos_kv_use SET "
       "keys = keys - 1, bytes = bytes - length(old.key) - length(old.value) WHERE owner = old.owner; END"},
  };
  database_.execBatch(std::span<const Statement>(schema), Access{kCoreOwner});
  std::int64_t last = 0;
  database_.query(
      "SELECT seq FROM sqlite_sequence WHERE name = 'matrixos_kv'", {},
      [&](const Row &row) {
        last = row.integer(0);
        return false;
      },
      Access{kCoreOwner});
  lastVersion_ = last;
}

std::int64_t KeyValues::nextVersion() {
  const std::lock_guard lock(mutex_);
  return ++lastVersion_;
}

std::optional<KeyValues::Found> KeyValues::get(const Access &access, std::string_view key) {
  checkKey(key);
  prepare();
  std::optional<Found> found;
  database_.query(
      "SELECT value, version FROM matrixos_kv WHERE owner = ? AND key = ?", {access.owner, blob(key)},
      [&](const Row &row) {
        found = Found{std::string(row.blob(0)), row.integer(1)};
        return false;
      },
      access.asCore());
  return found;
}

std::int64_t KeyValues::put(const Access &access, std::string_view key, std::string_view value, std::int64_t expected) {
  checkKey(key);
  if (value.size() > kLongestValue)
    throw Error(Status::InvalidArgument, "a value has 64 KB at most, not " + std::to_string(value.size()) + " bytes",
                "KV_VALUE");
  prepare();
  const std::int64_t version = nextVersion();
  std::vector<Statement> batch;
  // Not REPLACE, which fires no trigger for what it takes away.
  if (expected == kAnyVersion)
    batch.push_back({"DELETE FROM matrixos_kv WHERE owner = ? AND key = ?", {access.owner, blob(key)}});
  else if (expected != kAbsent)
    batch.push_back({"DELETE FROM matrixos_kv WHERE owner = ? AND key = ? AND version = ?",
                     {access.owner, blob(key), expected},
                     1});
  batch.push_back({"INSERT INTO matrixos_kv (version, owner, key, value) VALUES (?, ?, ?, ?)",
                   {version, access.owner, blob(key), blob(value)},
                   1});
  try {
    database_.execBatch(std::span<const Statement>(batch), access.asCore());
  } catch (const Error &e) {
    if (e.reason() == "UNIQUE") throw Error(Status::Aborted, "the key is there already", "EXPECTATION");
    if (e.reason() == "EXPECTATION") throw Error(Status::Aborted, "the key has another version by now", "EXPECTATION");
    if (e.reason() == "CHECK")
      throw Error(Status::ResourceExhausted,
                  "the key-value store of " + access.owner + " is full: it holds 10,000 keys or 16 MB", "KV_FULL");
    throw;
  }
  return version;
}

void KeyValues::remove(const Access &access, std::string_view key, std::int64_t expected) {
  checkKey(key);
  if (expected == kAbsent) throw Error(Status::InvalidArgument, "a key that is absent cannot be removed", "KV_KEY");
  prepare();
  Statement statement{"DELETE FROM matrixos_kv WHERE owner = ? AND key = ?", {access.owner, blob(key)}};
  if (expected != kAnyVersion) {
    statement.sql += " AND version = ?";
    statement.params.emplace_back(expected);
    statement.expectedRows = 1;
  }
  try {
    database_.execBatch(std::span<const Statement>(&statement, 1), access.asCore());
  } catch (const Error &e) {
    if (e.reason() != "EXPECTATION") throw;
    throw Error(Status::Aborted, "the key has another version by now, or is gone", "EXPECTATION");
  }
}

void KeyValues::list(const Access &access, std::string_view prefix, const std::function<bool(const Entry &)> &entry) {
  if (prefix.size() > kLongestKey) return;
  prepare();
  std::string sql = "SELECT key, value, version FROM matrixos_kv WHERE owner = ? AND key >= ?";
  Params params{access.owner, blob(prefix)};
  if (const std::string end = after(prefix); !end.empty()) {
    sql += " AND key < ?";
    params.emplace_back(blob(end));
  }
  sql += " ORDER BY key";
  database_.query(
      sql, params,
      [&](const Row &row) {
        return entry({row.blob(0), row.blob(1), row.integer(2)});
      },
      access.asCore());
}

} // namespace matrixos::storage
