#include "Latency.h"

#include <matrixos/status.hpp>

#include <cmath>
#include <cstdlib>
#include <string>

namespace matrixos::simulated {

namespace {

constexpr double kLongest = 24.0 * 3600 * 1000;

double factorOf(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return 1000;
  if (unit == "m") return 60'000;
  if (unit == "h") return 3'600'000;
  return 0;
}

} // namespace

std::chrono::milliseconds parseDuration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds{0};
  const std::string number(text.substr(0, text.find_first_not_of("0123456789.")));
  char *end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  const double ms = value * factorOf(text.substr(number.size()));
  if (number.empty() || *end != '\0' || factorOf(text.substr(number.size())) == 0 || !(ms <= kLongest)) {
    throw Error(Status::InvalidArgument,
                "\"" + std::string(text) +
                    "\" is no duration; write a number with ms, s, m or h, like 8ms, at most 24h",
                "BAD_DURATION");
  }
  return std::chrono::milliseconds(std::llround(ms));
}

Latency Latency::parse(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) {
    const auto fixed = parseDuration(text);
    return {fixed, fixed};
  }
  const Latency range{parseDuration(text.substr(0, dots)), parseDuration(text.substr(dots + 2))};
  if (range.high < range.low) {
    throw Error(Status::InvalidArgument,
                "\"" + std::string(text) + "\" ends before it begins; write the shorter time first, like 5ms..20ms",
                "BAD_DURATION");
  }
  return range;
}

} // namespace matrixos::simulated
