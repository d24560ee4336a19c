#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace matrixos::test {

/// A row of permissions.md: who gets what, in the order of the columns.
struct PermissionRow {
  std::string method, route;
  std::vector<std::string> cells;

  std::string name() const { return method + " " + route; }
  /// As it stands in the file.
  std::string text() const;
};

/// The rows of the tables in the file, by their names. Throws std::runtime_error for a row that is no row, or twice.
std::map<std::string, PermissionRow> readPermissions(const std::filesystem::path &file);

} // namespace matrixos::test
