/// matrixos/text/time.hpp: times as text (RFC 3339, a profile of ISO 8601) and as milliseconds since 1970.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// The wall clock, in milliseconds since 1970. It jumps when somebody sets it: never measure with it.
inline std::int64_t wallClockMs() noexcept {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

namespace detail {

constexpr std::int64_t kDayMs = 86'400'000;
/// The first and the last millisecond of the years that have four digits, 0000 and 9999.
constexpr std::int64_t kFirstMs = -62'167'219'200'000;
constexpr std::int64_t kLastMs = 253'402'300'799'999;

/// A day of the proleptic Gregorian calendar.
struct CivilDay {
  int year;
  int month; ///< from 1
  int day;   ///< from 1
};

/// Days since 1970-01-01. From Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms": years begin in March, so
/// that the leap day is the last of its year.
constexpr std::int64_t daysOf(const CivilDay &date) noexcept {
  const int year = date.month <= 2 ? date.year - 1 : date.year;
  const int era = (year >= 0 ? year : year - 399) / 400;
  const int yearOfEra = year - era * 400;
  const int dayOfYear = (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1;
  const int dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
  return std::int64_t{era} * 146'097 + dayOfEra - 719'468;
}

/// The other way round, from year -400 on; same source.
constexpr CivilDay civilOf(std::int64_t days) noexcept {
  const auto shifted = static_cast<std::uint32_t>(days + 719'468 + 146'097); // from 0000-03-01, an era earlier
  const std::uint32_t era = shifted / 146'097;
  const std::uint32_t dayOfEra = shifted % 146'097;
  const std::uint32_t yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36'524 - dayOfEra / 146'096) / 365;
  const std::uint32_t dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const std::uint32_t fromMarch = (5 * dayOfYear + 2) / 153;
  const std::uint32_t month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const int year = static_cast<int>(era * 400 + yearOfEra + (month <= 2 ? 1 : 0)) - 400;
  return {year, static_cast<int>(month), static_cast<int>(dayOfYear - (153 * fromMarch + 2) / 5 + 1)};
}

constexpr void putTwo(char *to, std::uint32_t number) noexcept {
  to[0] = static_cast<char>('0' + number / 10);
  to[1] = static_cast<char>('0' + number % 10);
}

/// Reads the parts of a time from left to right. After the first misfit good() is false and what is read means nothing.
class TimeReader {
public:
  explicit TimeReader(std::string_view text) noexcept : text_(text) {}

  bool good() const noexcept { return good_; }
  bool atEnd() const noexcept { return at_ == text_.size(); }
  bool isNext(char c) const noexcept { return !atEnd() && text_[at_] == c; }
  bool take(char c) noexcept {
    const bool fits = isNext(c);
    if (fits) ++at_;
    return fits;
  }
  void expect(char c) noexcept { good_ = take(c) && good_; }
  /// Exactly two or four digits, from `least` to `most`.
  int number(std::size_t digits, int least, int most) noexcept {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i)
      value = value * 10 + digit();
    good_ = good_ && value >= least && value <= most;
    return value;
  }
  /// Any number of digits behind the point, at least one; those beyond milliseconds are dropped.
  int milliseconds() noexcept {
    int value = digit() * 100;
    for (int weight = 10; good_ && !atEnd() && text_[at_] >= '0' && text_[at_] <= '9'; weight /= 10)
      value += digit() * weight;
    return value;
  }

private:
  int digit() noexcept {
    if (!good_ || atEnd() || text_[at_] < '0' || text_[at_] > '9') {
      good_ = false;
      return 0;
    }
    return text_[at_++] - '0';
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool good_ = true;
};

} // namespace detail

/// RFC 3339 in UTC with milliseconds, "2026-11-23T15:04:05.123Z". Times outside the years 0000 to 9999 come out as the
/// first or last millisecond of these. Asks no locale and no time zone: it stands on hot paths.
inline std::string formatTime(std::int64_t msSince1970) {
  using namespace detail;
  const std::int64_t ms = msSince1970 < kFirstMs ? kFirstMs : msSince1970 > kLastMs ? kLastMs : msSince1970;
  const auto fromFirst = static_cast<std::uint64_t>(ms - kFirstMs);
  const CivilDay date = civilOf(static_cast<std::int64_t>(fromFirst / kDayMs) + kFirstMs / kDayMs);
  const auto ofDay = static_cast<std::uint32_t>(fromFirst % kDayMs);
  const std::uint32_t seconds = ofDay / 1000;
  const std::uint32_t minutes = seconds / 60;
  const auto year = static_cast<std::uint32_t>(date.year);
  std::string text = "0000-00-00T00:00:00.000Z";
  putTwo(&text[0], year / 100);
  putTwo(&text[2], year % 100);
  putTwo(&text[5], static_cast<std::uint32_t>(date.month));
  putTwo(&text[8], static_cast<std::uint32_t>(date.day));
  putTwo(&text[11], minutes / 60);
  putTwo(&text[14], minutes % 60);
  putTwo(&text[17], seconds % 60);
  text[20] = static_cast<char>('0' + ofDay % 1000 / 100);
  putTwo(&text[21], ofDay % 100);
  return text;
}

/// The same without the fraction: "2026-11-23T15:04:05Z".
inline std::string formatTimeSeconds(std::int64_t msSince1970) {
  std::string text = formatTime(msSince1970);
  text.replace(19, 4, "");
  return text;
}

/// Milliseconds since 1970 of an RFC 3339 time with any offset and any fraction, of which milliseconds are kept;
/// negative before 1970. Nothing for all else: a day that its month does not have, a time without an offset, blanks,
/// lower case. A leap second counts as the first second of the next minute.
inline std::optional<std::int64_t> parseTime(std::string_view text) noexcept {
  using namespace detail;
  TimeReader in(text);
  CivilDay date{};
  date.year = in.number(4, 0, 9999);
  in.expect('-');
  date.month = in.number(2, 1, 12);
  in.expect('-');
  date.day = in.number(2, 1, 31);
  in.expect('T');
  const int hours = in.number(2, 0, 23);
  in.expect(':');
  const int minutes = in.number(2, 0, 59);
  in.expect(':');
  const int seconds = in.number(2, 0, 60);
  const int ms = in.take('.') ? in.milliseconds() : 0;
  int offset = 0; // minutes
  if (in.isNext('+') || in.isNext('-')) {
    const int sign = in.take('-') ? -1 : 1;
    if (sign > 0) in.expect('+');
    offset = in.number(2, 0, 23) * 60;
    in.expect(':');
    offset = sign * (offset + in.number(2, 0, 59));
  } else {
    in.expect('Z');
  }
  if (!in.good() || !in.atEnd()) return std::nullopt;
  const std::int64_t days = daysOf(date);
  if (civilOf(days).day != date.day) return std::nullopt;
  return days * kDayMs + ((hours * 60 + minutes - offset) * std::int64_t{60} + seconds) * 1000 + ms;
}

} // namespace v1
} // namespace matrixos
