#pragma once

#include <matrixos/names.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::docker {

/// Base64 of RFC 4648: the standard alphabet with padding, or with `urlSafe` that of §5, also padded, as the engine's
/// X-Registry-Auth wants it.
std::string base64Encode(std::string_view bytes, bool urlSafe);
/// The bytes behind standard base64; throws Error(InvalidArgument) when it is none.
std::string base64Decode(std::string_view text);

/// What a stranger wrote, fit for a message or a log line: valid UTF-8, control characters as spaces, at most
/// `maxBytes` long, cut at a character.
std::string tidy(std::string_view text, std::size_t maxBytes);
/// Valid UTF-8: every byte that belongs to no character becomes U+FFFD.
std::string toUtf8(std::string_view text);

/// Milliseconds since the epoch of an RFC 3339 time like "2026-11-23T15:12:51.71763906Z". 0 for Go's zero time (year
/// 1) and everything before 1970. Throws Error(InvalidArgument).
std::int64_t parseTime(std::string_view text);

} // namespace matrixos::docker
