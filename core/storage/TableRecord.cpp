#include "storage/TableRecord.h"

#include "storage/Access.h"
#include "storage/SqliteConnection.h"
#include "storage/SqliteError.h"

#include <matrixos/status.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <iterator>
#include <memory>

namespace matrixos::storage {
namespace {

constexpr const char *kTables = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE "
                                "'sqlite~_%' ESCAPE '~'";
/// Steps of SQLite's machine that old schema steps may take when they are gone through once more, on no data.
constexpr int kReplaySteps = 1'000'000;

/// Runs schema steps in an empty database and gives the tables that come out; what fails there is passed over.
std::set<std::string> tablesOf(std::span<const Migration> steps) {
  sqlite3 *raw = nullptr;
  const int opened = sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3 *)> scratch(raw, &sqlite3_close);
  checkSqlite(raw, opened, "going through schema steps");
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_set_authorizer(
      raw,
      [](void *, int action, const char *, const char *, const char *, const char *) {
        return action == SQLITE_ATTACH || action == SQLITE_PRAGMA ? SQLITE_DENY : SQLITE_OK;
      },
      nullptr);
  sqlite3_progress_handler(
      raw, kReplaySteps, [](void *) { return 1; }, nullptr);
  for (const Migration &step : steps) {
    const char *at = step.sql.c_str();
    while (at != nullptr && *at != '\0') {
      sqlite3_stmt *statement = nullptr;
      if (sqlite3_prepare_v2(raw, at, -1, &statement, &at) != SQLITE_OK) break;
      while (statement != nullptr && sqlite3_step(statement) == SQLITE_ROW) {
      }
      sqlite3_finalize(statement);
    }
  }
  std::set<std::string> tables;
  sqlite3_exec(
      raw, kTables,
      [](void *to, int, char **values, char **) {
        static_cast<std::set<std::string> *>(to)->insert(tableKey(values[0]));
        return 0;
      },
      &tables, nullptr);
  return tables;
}

} // namespace

TableRecord::TableRecord(SqliteConnection &connection, TableOwners &owners) : connection_(connection), owners_(owners) {
  reload();
  owners_.publish(*names_);
}

void TableRecord::reload() {
  names_ = std::make_shared<const TableNames>(read());
  connection_.guard().see(names_);
}

bool TableRecord::hasRecord() const {
  bool found = false;
  connection_.queryTrusted("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'matrixos_tables'", {},
                           [&](const Row &) {
                             found = true;
                             return false;
                           });
  return found;
}

TableNames TableRecord::read() const {
  TableNames names;
  connection_.queryTrusted(kTables, {}, [&](const Row &row) {
    if (std::string key = tableKey(row.text(0)); !isCoreTable(key)) names.owners.emplace(std::move(key), "");
    return true;
  });
  if (hasRecord()) {
    connection_.queryTrusted("SELECT name, owner FROM matrixos_tables", {}, [&](const Row &row) {
      if (const auto at = names.owners.find(row.textOr(0)); at != names.owners.end()) at->second = row.textOr(1);
      return true;
    });
  }
  connection_.queryTrusted("SELECT m.name, k.\"table\" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) k "
                           "WHERE m.type = 'table'",
                           {}, [&](const Row &row) {
                             const std::string child = tableKey(row.text(0)), parent = tableKey(row.text(1));
                             const std::string *a = names.ownerOf(child), *b = names.ownerOf(parent);
                             if (a != nullptr && (b == nullptr || *a != *b)) names.ties.emplace(child, parent);
                             return true;
                           });
  return names;
}

void TableRecord::write(const std::string &table, const std::string &owner) {
  if (!hasRecord()) {
    connection_.run("CREATE TABLE matrixos_tables (name TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID");
  }
  connection_.execTrusted({"INSERT OR REPLACE INTO matrixos_tables (name, owner) VALUES (?, ?)", {table, owner}});
}

void TableRecord::follow(const std::string &owner) {
  changed_ = true;
  const TableNames after = read();
  for (const auto &[table, has] : after.owners) {
    if (names_->ownerOf(table) != nullptr || owner.empty() || owner == kCoreOwner) continue;
    if (const std::string why = owners_.whyNotMake(owner, table); !why.empty())
      throw Error(Status::PermissionDenied, "the statement makes a table that is not " + owner + "'s: " + why,
                  "TABLE_OWNED");
    write(table, owner);
  }
  if (hasRecord()) {
    for (const auto &[table, has] : names_->owners) {
      if (after.ownerOf(table) == nullptr)
        connection_.execTrusted({"DELETE FROM matrixos_tables WHERE name = ?", {table}});
    }
  }
  const auto before = names_;
  reload();
  checkKeys(owner, *before);
}

/// A foreign key would let the one hold up what the other deletes.
void TableRecord::checkKeys(const std::string &owner, const TableNames &before) const {
  if (owner.empty() || owner == kCoreOwner) return;
  for (const auto &[child, parent] : names_->ties) {
    const std::string *has = names_->ownerOf(child);
    if (has == nullptr || *has != owner || before.ties.count({child, parent}) != 0) continue;
    const std::string *others = names_->ownerOf(parent);
    const std::string why =
        others == nullptr ? owners_.whyNotMake(owner, parent)
                          : "the table " + parent + " belongs to " + (others->empty() ? "somebody else" : *others);
    if (why.empty()) continue;
    throw Error(Status::PermissionDenied,
                "the table " + child + " of " + owner + " has a foreign key to " + parent + ": " + why, "TABLE_OWNED");
  }
}

void TableRecord::committed() {
  if (!changed_) return;
  changed_ = false;
  owners_.publish(*names_);
}

void TableRecord::undone() {
  if (changed_) reload();
}

std::set<std::string> TableRecord::makers() const {
  std::set<std::string> makers;
  bool found = false;
  connection_.queryTrusted("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'", {},
                           [&](const Row &) {
                             found = true;
                             return false;
                           });
  if (!found) return makers;
  connection_.queryTrusted("SELECT DISTINCT owner FROM schema_migrations", {}, [&](const Row &row) {
    makers.insert(row.textOr(0));
    return true;
  });
  return makers;
}

bool TableRecord::adopt(const std::string &owner, const std::string &asked) {
  const std::set<std::string> all = makers();
  const bool others = std::any_of(
      all.begin(), all.end(), [&](const std::string &maker) { return maker != owner && !owners_.wasReplayed(maker); });
  const bool declares = owners_.declaresNames(owner);
  std::vector<std::string> tables;
  for (const auto &[table, has] : names_->owners) {
    if (!has.empty()) continue;
    const bool named = owners_.hasName(owner, table);
    // Whoever made it has yet to say so: a name that merely was declared is no proof for who made no schema so far.
    const bool sure = named && (!declares || all.count(owner) != 0 || !others);
    if (sure || (table == asked && !declares && !others && owners_.whyNotMake(owner, table).empty()))
      tables.push_back(table);
  }
  give(owner, tables);
  return std::find(tables.begin(), tables.end(), asked) != tables.end();
}

void TableRecord::adoptMadeBy(const std::string &owner, std::span<const Migration> applied) {
  std::set<std::string> nobodys;
  for (const auto &[table, has] : names_->owners) {
    if (has.empty()) nobodys.insert(table);
  }
  if (nobodys.empty()) return;
  const std::set<std::string> made = tablesOf(applied);
  std::vector<std::string> tables;
  std::set_intersection(nobodys.begin(), nobodys.end(), made.begin(), made.end(), std::back_inserter(tables));
  give(owner, tables);
  owners_.noteReplayed(owner);
}

void TableRecord::give(const std::string &owner, const std::vector<std::string> &tables) {
  if (tables.empty()) return;
  changed_ = true;
  try {
    connection_.run("BEGIN IMMEDIATE");
    for (const std::string &table : tables)
      write(table, owner);
    connection_.run("COMMIT");
  } catch (...) {
    connection_.rollback();
    throw;
  }
  reload();
  committed();
}

} // namespace matrixos::storage
