/// Numbered schema steps. Internal to core/storage.
#pragma once

#include "storage/Statement.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::storage {

class SqliteConnection;
class TableRecord;

/// Brings one owner's tables up to date; see Database::migrate(). Lives on the writer's thread, outside a transaction.
class Migrator {
public:
  Migrator(SqliteConnection &connection, TableRecord &record, std::filesystem::path file, std::string_view owner);
  void run(std::span<const Migration> steps);

private:
  struct Applied {
    std::uint32_t version = 0;
    std::string name;
    std::string checksum;
  };

  bool hasTable() const;
  std::vector<Applied> readApplied() const;
  void compare(std::span<const Migration> steps, const std::vector<Applied> &applied) const;
  bool somethingToLose() const;
  void apply(std::span<const Migration> steps);
  void applyStep(const Migration &step);
  void checkForeignKeys() const;

  SqliteConnection &connection_;
  TableRecord &record_;
  std::filesystem::path file_;
  std::string owner_;
};

} // namespace matrixos::storage
