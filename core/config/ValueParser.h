#pragma once

#include "config/ListenAddress.h"
#include "config/Schema.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::config {

/// A value that fits its key's type and range.
struct ConfigValue {
  /// Canonical text: "30m", "256MB", "true", "a, b".
  std::string text;
  /// int; bool as 0 or 1; duration in milliseconds; size in bytes.
  std::int64_t integer = 0;
  /// number, and int as one.
  double number = 0;
  /// list, listen and urls; rate as its count and milliseconds.
  std::vector<std::string> items;
  /// listen.
  std::vector<ListenAddress> addresses;
};

/// Values of the type are texts in which a comment would not be noticed otherwise.
bool isText(ValueType type) noexcept;

/// Reads one value. An empty text is fine for text types and wherever the default is empty, and reads as zero.
/// Throws Error(InvalidArgument) with half a sentence that quotes the value (a secret's never) and says what is
/// expected: `"30 minutes" is not a duration; write a number with ms, s, m, h or d, like 30m, from 1m to 24h`.
ConfigValue parseValue(const KeySpec &key, std::string_view text);

/// The largest unit that divides it: 1800000 is "30m".
std::string formatDuration(std::int64_t milliseconds);
/// The largest unit that divides it: 268435456 is "256MB".
std::string formatSize(std::int64_t bytes);

} // namespace matrixos::config
