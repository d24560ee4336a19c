#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::ctl {

/// Rows under headings, padded to columns. Control characters in cells, which may come from strangers, are shown as ?
/// so that they cannot drive the terminal.
class Table {
public:
  /// `areNumbers`: the columns that are aligned at their right; those that are missing are not.
  explicit Table(std::vector<std::string> headings, std::vector<bool> areNumbers = {})
      : rows_{std::move(headings)}, areNumbers_(std::move(areNumbers)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// A last column of bars, one for each row so far, as long as its value is beside the greatest one. They take what is
  /// left of `width` characters, from 8 to 40; without `utf8` they are made of #.
  void addBars(const std::string &heading, const std::vector<double> &values, std::size_t width, bool utf8);
  void print(std::ostream &out) const;

private:
  std::vector<std::size_t> widths() const;

  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> areNumbers_;
};

/// The text without control characters.
std::string printable(const std::string &text);

/// "3 min ago", from an RFC 3339 time in UTC; the text itself when it is none.
std::string ago(const std::string &time);

} // namespace matrixos::ctl
