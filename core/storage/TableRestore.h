/// The way back for one owner's tables. Internal to core/storage.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::storage {

class SqliteConnection;
class TableRecord;

/// Puts the tables of one owner, and the record of its schema steps, back to what they are in a backup, in one
/// transaction; nothing else of the database changes. On the writer's connection and thread, outside a transaction.
class TableRestore {
public:
  /// `backup`: by the name that Migrator gives, <file>.backup-<owner>-<version>, which says whose tables. Throws
  /// Error(InvalidArgument) for another name.
  TableRestore(SqliteConnection &connection, TableRecord &record, std::filesystem::path backup);
  /// Throws Error: DataLoss for a damaged backup, FailedPrecondition when rows of others would point at nothing.
  void run();

  const std::string &owner() const noexcept { return owner_; }

private:
  struct Item {
    std::string type, name, table, sql;
  };

  void restore();
  std::vector<Item> itemsOf(const std::string &schema) const;
  std::vector<Item> lost(const std::vector<Item> &now) const;
  std::vector<Item> kept(const std::vector<Item> &backedUp, const std::vector<Item> &now) const;
  bool keptHas(const std::string &table) const;
  void copyRows(const std::string &table);
  void copySteps();
  void checkKeys() const;

  SqliteConnection &connection_;
  TableRecord &record_;
  const std::filesystem::path backup_;
  std::string owner_;
};

} // namespace matrixos::storage
