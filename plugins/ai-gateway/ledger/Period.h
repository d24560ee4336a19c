/// Days and months, those of UTC.
#pragma once

#include <matrixos/text/time.hpp>

#include <algorithm>
#include <cstdint>

namespace matrixos::gateway {

inline constexpr std::int64_t kDayMs = 86'400'000;

/// A day and the month that it is in. Days are counted since 1970-01-01.
struct Period {
  std::int64_t day = 0;
  std::int64_t monthBegin = 0, monthEnd = 0; ///< the month's first day, and the next one's

  /// The one that has this moment; times before 1970 count as 1970.
  static Period of(std::int64_t msSince1970) noexcept {
    const std::int64_t day = dayOf(msSince1970);
    const auto date = matrixos::detail::civilOf(day);
    const bool last = date.month == 12;
    return {day, day - date.day + 1,
            matrixos::detail::daysOf({last ? date.year + 1 : date.year, last ? 1 : date.month + 1, 1})};
  }
  static std::int64_t dayOf(std::int64_t msSince1970) noexcept {
    return std::max<std::int64_t>(msSince1970, 0) / kDayMs;
  }

  bool monthHas(std::int64_t someDay) const noexcept { return someDay >= monthBegin && someDay < monthEnd; }
  std::int64_t dayEndsMs() const noexcept { return (day + 1) * kDayMs; }
  std::int64_t monthEndsMs() const noexcept { return monthEnd * kDayMs; }
  /// The moment itself, or that of this day which is nearest to it.
  std::int64_t nearest(std::int64_t msSince1970) const noexcept {
    return std::clamp(msSince1970, day * kDayMs, dayEndsMs() - 1);
  }

  friend bool operator==(const Period &, const Period &) = default;
};

} // namespace matrixos::gateway
