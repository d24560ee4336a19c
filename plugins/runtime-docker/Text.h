#pragma once

#include <matrixos/names.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::docker {

/// What a stranger wrote, fit for a message or a log line: valid UTF-8, control characters as spaces, at most
/// `maxBytes` long, cut at a character.
std::string tidy(std::string_view text, std::size_t maxBytes);

/// Milliseconds since the epoch of an RFC 3339 time like "2026-11-23T15:12:51.71763906Z". 0 for Go's zero time (year
/// 1) and everything before 1970. Throws Error(InvalidArgument).
std::int64_t engineTime(std::string_view text);

} // namespace matrixos::docker
