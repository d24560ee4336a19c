#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <ctime>

using namespace matrixos;

namespace {

constexpr std::int64_t kDay = 86'400'000;
constexpr std::int64_t kFirst = -62'167'219'200'000; // 0000-01-01
constexpr std::int64_t kLast = 253'402'300'799'999;  // the end of 9999

/// What the C library says.
std::string reference(std::int64_t ms) {
  const std::int64_t seconds = (ms >= 0 ? ms : ms - 999) / 1000;
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<int>(ms - seconds * 1000));
  return text;
}

} // namespace

TEST_CASE("time: known moments") {
  const std::pair<std::int64_t, std::string> moments[] = {{0, "1970-01-01T00:00:00.000Z"},
                                                          {-1, "1969-12-31T23:59:59.999Z"},
                                                          {951'782'400'000, "2000-02-29T00:00:00.000Z"},
                                                          {1'709'251'199'999, "2024-02-29T23:59:59.999Z"},
                                                          {1'764'000'000'007, "2025-11-24T16:00:00.007Z"},
                                                          {4'107'542'399'999, "2100-02-28T23:59:59.999Z"},
                                                          {4'107'542'400'000, "2100-03-01T00:00:00.000Z"},
                                                          {kFirst, "0000-01-01T00:00:00.000Z"},
                                                          {kLast, "9999-12-31T23:59:59.999Z"}};
  for (const auto &[ms, text] : moments) {
    CHECK(formatTime(ms) == text);
    CHECK(parseTime(text) == ms);
  }
  CHECK(formatTimeSeconds(1'764'000'000'007) == "2025-11-24T16:00:00Z");
}

TEST_CASE("time: years beyond four digits come out as the last moment that has them") {
  CHECK(formatTime(kLast + 1) == formatTime(kLast));
  CHECK(formatTime(INT64_MAX) == formatTime(kLast));
  CHECK(formatTime(kFirst - 1) == formatTime(kFirst));
  CHECK(formatTime(INT64_MIN) == formatTime(kFirst));
}

TEST_CASE("time: each day of ten thousand years is the calendar's, both ways") {
  for (std::int64_t ms = kFirst; ms < kLast; ms += kDay) {
    const std::string text = formatTime(ms);
    const bool asked = ms / kDay % 61 == 0; // the C library is slow
    if (parseTime(text) == ms && (!asked || text == reference(ms))) continue;
    CAPTURE(ms);
    CHECK(text == reference(ms));
    CHECK(parseTime(text) == ms);
  }
}

TEST_CASE("time: every millisecond comes back") {
  CHECK(rc::check([] {
    const auto ms = *rc::gen::inRange<std::int64_t>(kFirst, kLast + 1);
    const std::string text = formatTime(ms);
    RC_ASSERT(text == reference(ms));
    RC_ASSERT(parseTime(text) == ms);
    RC_ASSERT(parseTime(formatTimeSeconds(ms)) == ms - (ms % 1000 + 1000) % 1000);
  }));
}

TEST_CASE("time: offsets, fractions and leap seconds of RFC 3339") {
  CHECK(parseTime("1970-01-01T00:00:01Z") == 1000);
  CHECK(parseTime("1985-04-12T23:20:50.52Z") == 482'196'050'520); // §5.8
  CHECK(parseTime("1996-12-19T16:39:57-08:00") == parseTime("1996-12-20T00:39:57Z"));
  CHECK(parseTime("1990-12-31T23:59:60Z") == parseTime("1991-01-01T00:00:00Z"));
  CHECK(parseTime("1990-12-31T15:59:60-08:00") == parseTime("1991-01-01T00:00:00Z"));
  CHECK(parseTime("1937-01-01T12:00:27.87+00:20") == parseTime("1937-01-01T11:40:27.870Z"));
  CHECK(parseTime("2026-11-23T15:12:51.71763906Z") == 1'795'446'771'717);
  CHECK(parseTime("2026-11-23T16:12:51.7+01:00") == 1'795'446'771'700);
  CHECK(parseTime("2026-11-23T15:12:51.7-00:00") == 1'795'446'771'700);
  CHECK(parseTime("2026-11-23T15:12:51." + std::string(1000, '9') + "Z") == 1'795'446'771'999);
  CHECK(parseTime("0001-01-01T00:00:00Z") == -62'135'596'800'000); // Go's zero time
}

TEST_CASE("time: all else is none") {
  for (const char *text : {"",
                           "now",
                           "2026-11-23",
                           "2026-11-23T15:12:51",
                           "2026-13-23T15:12:51Z",
                           "2026-00-23T15:12:51Z",
                           "2026-11-23T15:12:51Zx",
                           "2026-11-23T15:12:5",
                           "2026-11-23T15:12:5Z",
                           "2026-11-23t15:12:51Z",
                           "2026-11-23T15:12:51z",
                           "2026-11-23 15:12:51Z",
                           " 2026-11-23T15:12:51Z",
                           "2026-11-23T15:12:51Z ",
                           "2026-11-23T15:12:51.Z",
                           "2026-13-23T15:12:51.123Z",
                           "x026-11-23T15:12:51.5Z",
                           "2026-11-23T15:12x51.123456789Z",
                           "2026-11-23T15:12:51,5Z",
                           "2026-11-23T24:00:00Z",
                           "2026-11-23T15:60:51Z",
                           "2026-11-23T15:12:61Z",
                           "2026-11-31T15:12:51Z",
                           "2026-11-00T15:12:51Z",
                           "2025-02-29T00:00:00Z",
                           "2100-02-29T00:00:00Z",
                           "2026-11-23T15:12:51+0100",
                           "2026-11-23T15:12:51+01",
                           "2026-11-23T15:12:51+24:00",
                           "2026-11-23T15:12:51+01:60",
                           "2026-11-23T15:12:51Z+01:00",
                           "26-11-23T15:12:51Z",
                           "12026-11-23T15:12:51Z",
                           "-026-11-23T15:12:51Z",
                           "2026-1a-23T15:12:51Z",
                           "+026-11-23T15:12:51Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parseTime(text));
  }
  CHECK(parseTime("2024-02-29T00:00:00Z"));
  CHECK(parseTime("2000-02-29T00:00:00Z"));
}

TEST_CASE("time: one byte more, less or other is never the same time by accident") {
  CHECK(rc::check([](char byte) {
    const std::string text = formatTime(*rc::gen::inRange<std::int64_t>(0, kLast + 1));
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    std::string other = text;
    other[at] = byte;
    const auto ms = parseTime(other);
    if (ms) RC_ASSERT((other == text) == (formatTime(*ms) == text));
    RC_ASSERT_FALSE(parseTime(text.substr(0, at)));
  }));
}

TEST_CASE("time: the wall clock is the system's") {
  const std::int64_t before = static_cast<std::int64_t>(std::time(nullptr)) * 1000;
  const std::int64_t now = wallClockMs();
  CHECK(now >= before - 1000);
  CHECK(now < before + 3'600'000);
}
