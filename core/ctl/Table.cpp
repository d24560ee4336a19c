#include "ctl/Table.h"

#include <matrixos/text/time.hpp>
#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace matrixos::ctl {

namespace {

constexpr std::size_t kGap = 2; ///< between columns

/// A bar that is `share` of `room` characters long, in eighths of them where it can; never none for something.
std::string barOf(double share, std::size_t room, bool utf8) {
  if (!(share > 0)) return {};
  static constexpr std::array<const char *, 7> parts{"▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const std::size_t steps = utf8 ? 8 : 1;
  const auto length = std::max<std::size_t>(
      static_cast<std::size_t>(std::lround(std::min(share, 1.0) * static_cast<double>(room * steps))), 1);
  std::string bar;
  for (std::size_t i = 0; i < length / steps; ++i)
    bar += utf8 ? "█" : "#";
  return bar + (length % steps == 0 ? "" : parts[length % steps - 1]);
}

} // namespace

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

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (const auto &row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], countCharacters(row[i]));
  }
  return widths;
}

void Table::addBars(const std::string &heading, const std::vector<double> &values, std::size_t width, bool utf8) {
  std::size_t taken = 0;
  for (const std::size_t column : widths())
    taken += column + kGap;
  const std::size_t room = std::clamp<std::size_t>(width - std::min(taken, width), 8, 40);
  const double most = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  rows_.front().push_back(heading);
  for (std::size_t i = 0; i < values.size(); ++i)
    rows_[i + 1].push_back(most > 0 ? barOf(values[i] / most, room, utf8) : "");
}

void Table::print(std::ostream &out) const {
  const std::vector<std::size_t> widths = this->widths();
  for (const auto &row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - countCharacters(row[i]), ' ');
      const bool isNumber = i < areNumbers_.size() && areNumbers_[i];
      line += isNumber ? blanks + printable(row[i]) : printable(row[i]);
      if (i + 1 < row.size()) line += (isNumber ? "" : blanks) + std::string(kGap, ' ');
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
