#include "storage/TableRestore.h"

#include "storage/Backup.h"
#include "storage/SqliteConnection.h"
#include "storage/TableRecord.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace matrixos::storage {
namespace {

std::string quoted(const std::string &name) {
  std::string text = "\"";
  for (const char c : name)
    text.append(c == '"' ? 2 : 1, c);
  return text + '"';
}

} // namespace

TableRestore::TableRestore(SqliteConnection &connection, TableRecord &record, std::filesystem::path backup)
    : connection_(connection), record_(record), backup_(std::move(backup)) {
  const std::string name = backup_.filename().string(), mark = ".backup-";
  const std::size_t from = name.rfind(mark), to = name.rfind('-');
  if (from != std::string::npos && to >= from + mark.size())
    owner_ = name.substr(from + mark.size(), to - from - mark.size());
  if (owner_.empty())
    throw Error(Status::InvalidArgument,
                backup_.string() +
                    " is no backup of a plugin's tables: those are called <database>.backup-<plugin>-<step>");
}

void TableRestore::run() {
  requireIntactBackup(backup_);
  connection_.execTrusted({"ATTACH ? AS kept", {backup_.string()}});
  connection_.run("PRAGMA foreign_keys=OFF");
  struct Restore {
    SqliteConnection &connection;
    ~Restore() {
      connection.rollback();
      connection.run("PRAGMA foreign_keys=ON");
      connection.run("DETACH kept");
    }
  } const after{connection_};
  connection_.run("BEGIN IMMEDIATE");
  restore();
  connection_.run("COMMIT");
}

void TableRestore::restore() {
  const std::vector<Item> now = itemsOf("main"), then = itemsOf("kept");
  const std::vector<Item> keep = kept(then, now);
  // Views first: they hold nothing, and one that lost its table would be in the way.
  for (const char *type : {"view", "table"}) {
    for (const Item &item : lost(now)) {
      if (item.type == type) connection_.run(("DROP " + item.type + " main." + quoted(item.name)).c_str());
    }
  }
  for (const Item &item : keep) {
    if (item.type != "table") continue;
    connection_.run(item.sql.c_str());
    copyRows(item.name);
  }
  for (const char *type : {"index", "view", "trigger"}) {
    for (const Item &item : keep) {
      if (item.type == type && !item.sql.empty()) connection_.run(item.sql.c_str());
    }
  }
  copySteps();
  record_.follow(owner_);
  checkKeys();
}

std::vector<TableRestore::Item> TableRestore::itemsOf(const std::string &schema) const {
  std::vector<Item> items;
  connection_.queryTrusted("SELECT type, name, tbl_name, sql FROM " + schema + ".sqlite_master ORDER BY rowid", {},
                           [&](const Row &row) {
                             items.push_back({row.textOr(0), row.textOr(1), row.textOr(2), row.textOr(3)});
                             return true;
                           });
  return items;
}

/// Tables and views that the owner has now.
std::vector<TableRestore::Item> TableRestore::lost(const std::vector<Item> &now) const {
  std::vector<Item> items;
  for (const Item &item : now) {
    const std::string *has = record_.names().ownerOf(tableKey(item.name));
    if ((item.type == "table" || item.type == "view") && has != nullptr && *has == owner_) items.push_back(item);
  }
  return items;
}

/// What the backup holds of the owner, and what belongs to it. A backup from before tables had owners does not say
/// whose they were: then those that are the owner's now, and those that are nobody's any more.
std::vector<TableRestore::Item> TableRestore::kept(const std::vector<Item> &backedUp,
                                                   const std::vector<Item> &now) const {
  std::map<std::string, std::string> owners;
  const bool recorded = keptHas("matrixos_tables");
  if (recorded) {
    connection_.queryTrusted("SELECT name, owner FROM kept.matrixos_tables", {}, [&](const Row &row) {
      owners.emplace(row.textOr(0), row.textOr(1));
      return true;
    });
  }
  std::set<std::string> present;
  for (const Item &item : now)
    present.insert(tableKey(item.name));
  const auto isOwn = [&](const std::string &table) {
    const std::string key = tableKey(table);
    if (isCoreTable(key) || key.compare(0, 7, "sqlite_") == 0) return false;
    if (const auto at = owners.find(key); at != owners.end()) return at->second == owner_;
    const std::string *has = record_.names().ownerOf(key);
    return has != nullptr ? *has == owner_ : !recorded && present.count(key) == 0;
  };
  std::vector<Item> items;
  std::copy_if(backedUp.begin(), backedUp.end(), std::back_inserter(items),
               [&](const Item &item) { return isOwn(item.table); });
  return items;
}

bool TableRestore::keptHas(const std::string &table) const {
  bool found = false;
  connection_.queryTrusted("SELECT 1 FROM kept.sqlite_master WHERE type = 'table' AND name = ?", {table},
                           [&](const Row &) {
                             found = true;
                             return false;
                           });
  return found;
}

void TableRestore::copyRows(const std::string &table) {
  std::string columns; // without those that are computed
  connection_.queryTrusted("SELECT name FROM pragma_table_xinfo(?, 'kept') WHERE hidden = 0", {table},
                           [&](const Row &row) {
                             columns += (columns.empty() ? "" : ", ") + quoted(row.textOr(0));
                             return true;
                           });
  const std::string name = quoted(table);
  connection_.run(("INSERT INTO main." + name + " (" + columns + ") SELECT " + columns + " FROM kept." + name).c_str());
  if (!keptHas("sqlite_sequence")) return;
  std::int64_t last = -1;
  connection_.queryTrusted("SELECT seq FROM kept.sqlite_sequence WHERE name = ?", {table}, [&](const Row &row) {
    last = row.integer(0);
    return false;
  });
  if (last >= 0) connection_.execTrusted({"UPDATE main.sqlite_sequence SET seq = ? WHERE name = ?", {last, table}});
}

void TableRestore::copySteps() {
  connection_.execTrusted({"DELETE FROM main.schema_migrations WHERE owner = ?", {owner_}});
  connection_.execTrusted(
      {"INSERT INTO main.schema_migrations SELECT * FROM kept.schema_migrations WHERE owner = ?", {owner_}});
}

void TableRestore::checkKeys() const {
  connection_.queryTrusted("PRAGMA main.foreign_key_check", {}, [&](const Row &row) -> bool {
    throw Error(Status::FailedPrecondition,
                "with the tables of " + owner_ + " from " + backup_.string() + ", rows in " + row.textOr(0) +
                    " would point at nothing in " + row.textOr(2) + "; nothing was changed",
                "FOREIGN_KEY");
  });
}

} // namespace matrixos::storage
