#include "storage/TableGuard.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <utility>

namespace matrixos::storage {
namespace {

/// PRAGMAs that only describe the schema.
bool isHarmlessPragma(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kHarmless{"table_info", "table_xinfo",      "table_list",
                                                             "index_list", "foreign_key_list", "index_info"};
  return std::find(kHarmless.begin(), kHarmless.end(), name) != kHarmless.end();
}

bool isSchemaTable(std::string_view name) {
  return name == "sqlite_master" || name == "sqlite_schema" || name == "sqlite_temp_master" ||
         name == "sqlite_temp_schema";
}

bool beginsWith(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

/// Functions in the place of a table that show nothing of anybody's. A PRAGMA among them is judged as such.
bool isHarmlessFunction(std::string_view table) {
  return table == "json_each" || table == "json_tree" || beginsWith(table, "pragma_");
}

/// What takes over the transaction or the connection, whoever asks.
bool takesOver(int action, std::string_view first) {
  switch (action) {
  case SQLITE_TRANSACTION:
  case SQLITE_SAVEPOINT:
  case SQLITE_ATTACH:
  case SQLITE_DETACH:
  case SQLITE_CREATE_TEMP_TABLE:
  case SQLITE_CREATE_TEMP_INDEX:
  case SQLITE_CREATE_TEMP_TRIGGER:
  case SQLITE_CREATE_TEMP_VIEW:
    return true;
  case SQLITE_PRAGMA:
    return !isHarmlessPragma(first);
  default:
    return false;
  }
}

bool isSchemaChange(int action) {
  switch (action) {
  case SQLITE_CREATE_TABLE:
  case SQLITE_CREATE_VIEW:
  case SQLITE_CREATE_INDEX:
  case SQLITE_CREATE_TRIGGER:
  case SQLITE_CREATE_VTABLE:
  case SQLITE_DROP_TABLE:
  case SQLITE_DROP_VIEW:
  case SQLITE_DROP_INDEX:
  case SQLITE_DROP_TRIGGER:
  case SQLITE_DROP_VTABLE:
  case SQLITE_ALTER_TABLE:
    return true;
  default:
    return false;
  }
}

/// Whether the platform's own record is to be changed.
bool changesCore(int action, std::string_view first, std::string_view second) {
  switch (action) {
  case SQLITE_INSERT:
  case SQLITE_UPDATE:
  case SQLITE_DELETE:
  case SQLITE_DROP_TABLE:
    return isCoreTable(tableKey(first));
  case SQLITE_ALTER_TABLE:
    return isCoreTable(tableKey(second));
  default:
    return false;
  }
}

} // namespace

TableGuard::Principal TableGuard::replace(Principal principal) {
  return std::exchange(principal_, std::move(principal));
}

void TableGuard::begin(bool changesSchema) {
  changesSchema_ = changesSchema;
  refused_ = false;
  why_.clear();
  nobodys_.clear();
  making_.clear();
}

bool TableGuard::allows(int action, std::string_view first, std::string_view second) {
  const bool changes = isSchemaChange(action);
  bool allowed = principal_.trusted;
  if (!allowed && takesOver(action, first)) return refuseUnnamed();
  if (!allowed && principal_.owner.empty()) {
    if (changesCore(action, first, second)) return refuseUnnamed();
    allowed = true;
  }
  if (!allowed) allowed = allowsOwner(action, first, second);
  changesSchema_ = changesSchema_ || (allowed && changes);
  return allowed;
}

bool TableGuard::allowsOwner(int action, std::string_view first, std::string_view second) {
  switch (action) {
  case SQLITE_SELECT:
  case SQLITE_RECURSIVE:
  case SQLITE_PRAGMA: // one that is harmless
    return true;
  case SQLITE_FUNCTION:
    return second == "load_extension" ? refuseUnnamed() : true;
  case SQLITE_READ:
    return reads(first, second);
  case SQLITE_INSERT:
  case SQLITE_UPDATE:
  case SQLITE_DELETE:
    return writes(action, first);
  case SQLITE_CREATE_TABLE:
  case SQLITE_CREATE_VIEW:
    return makes(first);
  case SQLITE_DROP_TABLE:
  case SQLITE_DROP_VIEW:
  case SQLITE_DROP_VTABLE:
  case SQLITE_ANALYZE:
    return uses(first);
  case SQLITE_CREATE_INDEX:
  case SQLITE_CREATE_TRIGGER:
  case SQLITE_DROP_INDEX:
  case SQLITE_DROP_TRIGGER:
  case SQLITE_ALTER_TABLE:
    return uses(second);
  case SQLITE_REINDEX: // part of making an index; by itself it works through the tables of others
    return changesSchema_ || refuseUnnamed();
  default: // virtual tables read and write by other ways than these; what is not known yet may as well
    return refuseUnnamed();
  }
}

bool TableGuard::reads(std::string_view table, std::string_view column) {
  const std::string key = tableKey(table);
  if (isSchemaTable(key) || isHarmlessFunction(key) || beginsWith(key, "sqlite_stat")) return true;
  // Where no column of it is read, the name of a common table expression comes here as well.
  if (column.empty() && names_->ownerOf(key) == nullptr && !isCoreTable(key)) return true;
  return uses(table);
}

bool TableGuard::writes(int action, std::string_view table) {
  const std::string key = tableKey(table);
  if (isSchemaTable(key)) return true; // SQLite does, for CREATE and DROP, and lets nobody else
  if (action == SQLITE_DELETE && beginsWith(key, "sqlite_stat")) return true; // it does for DROP and ANALYZE
  return uses(table);
}

bool TableGuard::uses(std::string_view table) {
  const std::string key = tableKey(table);
  // The counters of everybody's tables; SQLite keeps them in step with tables that are dropped and renamed.
  if (key == "sqlite_sequence" && changesSchema_) return true;
  if (isCoreTable(key) || beginsWith(key, "sqlite_")) return refuse("the table " + key + " belongs to the platform");
  if (key == making_) return true;
  const std::string *owner = names_->ownerOf(key);
  if (owner == nullptr) return refuse(principal_.owner + " has no table " + key);
  if (*owner == principal_.owner || names_->isTied(key, principal_.owner)) return true;
  if (!owner->empty()) return refuse("the table " + key + " belongs to " + *owner);
  nobodys_ = key;
  return refuse("the table " + key + " is older than the record of who owns what, and it is not known whose it is");
}

bool TableGuard::makes(std::string_view table) {
  const std::string key = tableKey(table);
  if (beginsWith(key, "sqlite_")) return true; // SQLite does, and lets nobody else
  if (names_->ownerOf(key) != nullptr) return uses(table);
  std::string why = owners_.whyNotMake(principal_.owner, key);
  if (!why.empty()) return refuse(std::move(why));
  making_ = key;
  return true;
}

bool TableGuard::refuse(std::string why) noexcept {
  // The first one counts: SQLite goes on with some of them.
  if (!refused_) why_ = std::move(why);
  refused_ = true;
  return false;
}

bool TableGuard::refuseUnnamed() {
  return refuse({});
}

void TableGuard::check(const std::string &what) const {
  if (!refused_) return;
  if (why_.empty()) {
    throw Error(Status::InvalidArgument,
                what + ": the statement is not allowed; transactions, PRAGMA, ATTACH, temporary and virtual tables "
                       "belong to the platform",
                "NOT_ALLOWED");
  }
  const std::string text = what + ": " + why_;
  if (!nobodys_.empty()) throw NobodysTable(text, nobodys_);
  throw Error(Status::PermissionDenied, text, "TABLE_OWNED");
}

} // namespace matrixos::storage
