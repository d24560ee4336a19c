#include "contract/PermissionTable.h"

#include "support/TempDir.h"

#include <sstream>
#include <stdexcept>

namespace matrixos::test {

namespace {

/// What stands between the bars, without blanks and backticks around it.
std::vector<std::string> fieldsOf(const std::string &line) {
  std::vector<std::string> fields;
  std::istringstream rest(line.substr(1));
  for (std::string field; std::getline(rest, field, '|');) {
    const std::size_t first = field.find_first_not_of(" `"), last = field.find_last_not_of(" `");
    fields.push_back(first == std::string::npos ? std::string() : field.substr(first, last + 1 - first));
  }
  return fields;
}

} // namespace

std::string PermissionRow::text() const {
  std::string line = "| " + method + " | `" + route + "` |";
  for (const std::string &cell : cells)
    line += " " + cell + " |";
  return line;
}

std::map<std::string, PermissionRow> readPermissions(const std::filesystem::path &file) {
  std::map<std::string, PermissionRow> rows;
  std::istringstream text(readFile(file));
  std::vector<std::string> head;
  for (std::string line; std::getline(text, line);) {
    if (line.empty() || line.front() != '|') {
      head.clear();
      continue;
    }
    const std::vector<std::string> fields = fieldsOf(line);
    if (head.empty()) head = fields;
    // Another table, or this one's first two lines.
    if (head.front() != "method" || fields.front() == "method" || line.find("|---") == 0) continue;
    if (fields.size() != head.size()) throw std::runtime_error("no row of the table: " + line);
    PermissionRow row{fields[0], fields[1], {fields.begin() + 2, fields.end()}};
    if (!rows.emplace(row.name(), row).second) throw std::runtime_error("twice in the table: " + row.name());
  }
  return rows;
}

} // namespace matrixos::test
