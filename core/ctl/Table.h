#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace matrixos::ctl {

/// Rows under headings, padded to columns. Control characters in cells, which may come from strangers, are shown as ?
/// so that they cannot drive the terminal.
class Table {
public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void print(std::ostream &out) const;

private:
  std::vector<std::vector<std::string>> rows_;
};

/// The text without control characters.
std::string printable(const std::string &text);

/// "3 min ago", from an RFC 3339 time in UTC; the text itself when it is none.
std::string ago(const std::string &time);

} // namespace matrixos::ctl
