#include "config/ValueParser.h"

#include "config/HostName.h"
#include "config/Text.h"
#include "config/UrlValue.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

namespace matrixos::config {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

/// Smallest first. The empty name is a plain number of bytes.
constexpr std::array<Unit, 5> kDurations{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 4> kSizes{{{"", 1}, {"KB", 1LL << 10}, {"MB", 1LL << 20}, {"GB", 1LL << 30}}};
/// Enough for any fraction that comes out whole; more would not fit 64 bits below.
constexpr std::size_t kMaxFraction = 9;

template <typename Number>
std::optional<Number> parseNumber(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Digits, perhaps with a fraction, and a unit: "1.5h". Nothing when it is none, does not fit, or is no whole number
/// of the smallest unit.
std::optional<std::int64_t> parseQuantity(std::string_view text, std::span<const Unit> units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, digits);
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit &u) { return u.name == text.substr(digits); });
  // A bare 0 means the same in every unit.
  if (unit == units.end()) return text == "0" ? std::optional<std::int64_t>(0) : std::nullopt;

  const std::size_t dot = std::min(number.find('.'), number.size());
  const auto whole = parseNumber<std::int64_t>(number.substr(0, dot));
  if (!whole || *whole > std::numeric_limits<std::int64_t>::max() / unit->factor - 1) return std::nullopt;
  std::int64_t result = *whole * unit->factor;
  if (dot == number.size()) return result;

  const std::string_view decimals = number.substr(dot + 1);
  if (decimals.size() > kMaxFraction) return std::nullopt;
  const auto fraction = parseNumber<std::int64_t>(decimals);
  if (!fraction) return std::nullopt;
  std::int64_t scale = 1;
  for (std::size_t i = 0; i < decimals.size(); ++i)
    scale *= 10;
  if (*fraction * unit->factor % scale != 0) return std::nullopt;
  return result + *fraction * unit->factor / scale;
}

std::string formatQuantity(std::int64_t amount, std::span<const Unit> units) {
  for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
    if (amount % unit->factor == 0) return std::to_string(amount / unit->factor) + std::string(unit->name);
  }
  return std::to_string(amount);
}

std::string formatNumber(double value) {
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return error == std::errc{} ? std::string(buffer.data(), end) : std::to_string(value);
}

/// "from 1m to 24h", "at least 1m", "at most 24h", or nothing.
std::string describeRange(const KeySpec &key) {
  const std::size_t dots = key.range.find("..");
  if (dots == std::string::npos) return {};
  const std::string low = key.range.substr(0, dots);
  const std::string high = key.range.substr(dots + 2);
  if (low.empty()) return high.empty() ? "" : "at most " + high;
  return high.empty() ? "at least " + low : "from " + low + " to " + high;
}

/// How a message names the value: never a secret's text.
std::string shown(const KeySpec &key, std::string_view text) {
  return key.isSecret() ? "the value" : quote(text);
}

[[noreturn]] void refuse(const KeySpec &key, std::string_view text, const std::string &isNot, std::string write) {
  if (const std::string range = describeRange(key); !range.empty()) write += ", " + range;
  // The habit of other INI dialects; here the comment has become part of the value.
  if (looksCommented(text)) write += "; a comment needs a line of its own";
  throw Error(Status::InvalidArgument, shown(key, text) + " is not " + isNot + "; write " + write);
}

[[noreturn]] void refuseRange(const KeySpec &key, std::string_view text) {
  throw Error(Status::InvalidArgument, shown(key, text) + " is out of range; it has to be " + describeRange(key));
}

std::string example(const KeySpec &key, const char *otherwise) {
  return key.defaultValue.empty() ? otherwise : key.defaultValue;
}

std::optional<bool> parseBool(std::string_view text) {
  for (const std::string_view word : {"true", "yes", "on", "1"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"false", "no", "off", "0"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

ConfigValue whole(const KeySpec &key, std::string_view text, std::int64_t amount, std::string canonical) {
  if ((key.minimum && amount < *key.minimum) || (key.maximum && amount > *key.maximum)) refuseRange(key, text);
  return {std::move(canonical), amount, static_cast<double>(amount), {}, {}};
}

ConfigValue parseInt(const KeySpec &key, std::string_view text) {
  const auto amount = parseNumber<std::int64_t>(text);
  if (!amount) refuse(key, text, "a whole number", "one like " + example(key, "10"));
  return whole(key, text, *amount, std::to_string(*amount));
}

ConfigValue parseDuration(const KeySpec &key, std::string_view text) {
  const auto amount = parseQuantity(text, kDurations);
  if (!amount) refuse(key, text, "a duration", "a number with ms, s, m, h or d, like " + example(key, "30m"));
  return whole(key, text, *amount, formatDuration(*amount));
}

ConfigValue parseSize(const KeySpec &key, std::string_view text) {
  const auto amount = parseQuantity(text, kSizes);
  if (!amount)
    refuse(key, text, "a size", "a number of bytes, or one with KB, MB or GB, like " + example(key, "256MB"));
  return whole(key, text, *amount, formatSize(*amount));
}

ConfigValue parseFloat(const KeySpec &key, std::string_view text) {
  const auto amount = parseNumber<double>(text);
  if (!amount || !std::isfinite(*amount)) refuse(key, text, "a number", "one like " + example(key, "0.5"));
  if ((key.minimumNumber && *amount < *key.minimumNumber) || (key.maximumNumber && *amount > *key.maximumNumber)) {
    refuseRange(key, text);
  }
  return {formatNumber(*amount), 0, *amount, {}, {}};
}

ConfigValue parseSwitch(const KeySpec &key, std::string_view text) {
  const auto on = parseBool(text);
  if (!on) refuse(key, text, "a switch", "true or false");
  return {*on ? "true" : "false", *on ? 1 : 0, *on ? 1.0 : 0.0, {}, {}};
}

ConfigValue parseEnum(const KeySpec &key, std::string_view text) {
  if (std::find(key.words.begin(), key.words.end(), text) == key.words.end()) {
    std::string choices;
    for (std::size_t i = 0; i < key.words.size(); ++i) {
      choices += (i == 0 ? "" : i + 1 == key.words.size() ? " or " : ", ") + key.words[i];
    }
    refuse(key, text, "a choice here", choices);
  }
  return {std::string(text), 0, 0, {}, {}};
}

ConfigValue parseList(const KeySpec &key, std::string_view text) {
  std::vector<std::string> items = splitList(text);
  if (std::find(items.begin(), items.end(), "") != items.end()) {
    refuse(key, text, "a list", "words with one comma between them, like " + example(key, "a, b"));
  }
  std::string canonical = joinList(items);
  return {std::move(canonical), 0, 0, std::move(items), {}};
}

ConfigValue parseListen(const KeySpec &key, std::string_view text) {
  ConfigValue value = parseList(key, text);
  for (std::string &item : value.items) {
    value.addresses.push_back(ListenAddress::parse(item));
    item = value.addresses.back().toString();
  }
  value.text = joinList(value.items);
  return value;
}

/// A longer one is a mistake, and would be costly to match.
constexpr std::size_t kLongestPattern = 4096;

ConfigValue parseUrl(const KeySpec &key, std::string_view text) {
  UrlValue url = UrlValue::parse(text, key.words);
  if (url.problem.empty()) return {std::move(url.text), 0, 0, {}, {}};
  throw Error(Status::InvalidArgument,
              (url.hasCredentials ? "the value" : shown(key, text)) + " is no URL here: " + url.problem +
                  "; write one like " +
                  (key.type == ValueType::Url && !key.defaultValue.empty() ? key.defaultValue
                                                                           : key.words.front() + "://example.org"));
}

ConfigValue parseUrls(const KeySpec &key, std::string_view text) {
  KeySpec each = key;
  // A comma in a password parts it from what would give it away: none of it is repeated.
  if (text.find('@') != std::string_view::npos) each.flags |= MOS_KEY_SECRET;
  ConfigValue value = parseList(each, text);
  for (std::string &item : value.items)
    item = parseUrl(each, item).text;
  value.text = joinList(value.items);
  return value;
}

ConfigValue parseDomain(const KeySpec &key, std::string_view text) {
  if (const char *why = whyNoDomain(text); why != nullptr)
    throw Error(Status::InvalidArgument,
                shown(key, text) + " is no bare domain: " + why + "; write one like example.org");
  return {std::string(text), 0, 0, {}, {}};
}

ConfigValue parsePattern(const KeySpec &key, std::string_view text) {
  if (text.size() > kLongestPattern || !key.pattern->matches(text))
    throw Error(Status::InvalidArgument, shown(key, text) + " does not match " + key.range + "; write text that does" +
                                             (key.defaultValue.empty() ? "" : ", like " + key.defaultValue));
  return {std::string(text), 0, 0, {}, {}};
}

/// More would make a bucket's steps shorter than a microsecond, and the count no longer exact.
constexpr std::int64_t kLargestCount = 1'000'000;
constexpr std::int64_t kShortestPeriodMs = 1000;
constexpr std::int64_t kLongestPeriodMs = 86'400'000;

ConfigValue parseRate(const KeySpec &key, std::string_view text) {
  if (text == "0") return {"0", 0, 0, {"0", "0"}, {}};
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto count = parseNumber<std::int64_t>(text.substr(0, slash));
  const auto period = parseQuantity(text.substr(std::min(slash + 1, text.size())), kDurations);
  if (!count || *count < 1 || *count > kLargestCount || !period || *period < kShortestPeriodMs ||
      *period > kLongestPeriodMs) {
    refuse(key, text, "a rate",
           "how many, up to 1000000, in which time, 1s to 1d, like " + example(key, "600/1m") +
               ", or 0 for any number");
  }
  return {std::to_string(*count) + "/" + formatDuration(*period),
          0,
          0,
          {std::to_string(*count), std::to_string(*period)},
          {}};
}

bool mayBeEmpty(const KeySpec &key) {
  switch (key.type) {
  case ValueType::String:
  case ValueType::Path:
  case ValueType::List:
  case ValueType::Listen:
  case ValueType::Urls:
    return true;
  default:
    return key.defaultValue.empty();
  }
}

} // namespace

bool isText(ValueType type) noexcept {
  return type == ValueType::String || type == ValueType::Path || type == ValueType::List || type == ValueType::Url ||
         type == ValueType::Urls || type == ValueType::Domain || type == ValueType::Pattern;
}

ConfigValue parseValue(const KeySpec &key, std::string_view text) {
  if (text.empty() && mayBeEmpty(key)) return {};
  switch (key.type) {
  case ValueType::Int:
    return parseInt(key, text);
  case ValueType::Number:
    return parseFloat(key, text);
  case ValueType::Bool:
    return parseSwitch(key, text);
  case ValueType::Duration:
    return parseDuration(key, text);
  case ValueType::Size:
    return parseSize(key, text);
  case ValueType::List:
    return parseList(key, text);
  case ValueType::Listen:
    return parseListen(key, text);
  case ValueType::Enum:
    return parseEnum(key, text);
  case ValueType::Url:
    return parseUrl(key, text);
  case ValueType::Urls:
    return parseUrls(key, text);
  case ValueType::Domain:
    return parseDomain(key, text);
  case ValueType::Pattern:
    return parsePattern(key, text);
  case ValueType::Rate:
    return parseRate(key, text);
  case ValueType::String:
  case ValueType::Path:
    break;
  }
  return {std::string(text), 0, 0, {}, {}};
}

std::string formatDuration(std::int64_t milliseconds) {
  return milliseconds == 0 ? "0s" : formatQuantity(milliseconds, kDurations);
}

std::string formatSize(std::int64_t bytes) {
  return bytes == 0 ? "0" : formatQuantity(bytes, kSizes);
}

} // namespace matrixos::config
