#include "ctl/Table.h"

#include <matrixos/text/time.hpp>
#include <matrixos/text/utf8.hpp>

#include <algorithm>

namespace matrixos::ctl {

std::string printable(const std::string &text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto at = [&](std::size_t where) {
      return where < text.size() ? static_cast<unsigned char>(text[where]) : 0U;
    };
    const bool longControl = at(i) == 0xc2 && at(i + 1) >= 0x80 && at(i + 1) < 0xa0; // U+0080 to U+009F
    safe += at(i) < 0x20 || at(i) == 0x7f || longControl ? '?' : text[i];
    if (longControl) ++i;
  }
  return safe;
}

void Table::print(std::ostream &out) const {
  std::vector<std::size_t> widths;
  for (const auto &row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], countCharacters(row[i]));
  }
  for (const auto &row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += printable(row[i]);
      if (i + 1 < row.size()) line += std::string(widths[i] - countCharacters(row[i]) + 2, ' ');
    }
    out << line << '\n';
  }
}

std::string ago(const std::string &time) {
  const std::optional<std::int64_t> when = parseTime(time);
  if (!when) return time;
  const std::int64_t seconds = (wallClockMs() - *when) / 1000;
  if (seconds < 60) return std::to_string(std::max<std::int64_t>(seconds, 0)) + " s ago";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min ago";
  if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + " h ago";
  return std::to_string(seconds / 86400) + " d ago";
}

} // namespace matrixos::ctl
