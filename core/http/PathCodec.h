#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::api {

/// Percent-decodes once. Nothing when a percent sign is not followed by two hex digits, or when the result holds a
/// control byte or is not UTF-8.
std::optional<std::string> percentDecode(std::string_view text, bool plusIsSpace = false);

/// The segments of a raw path, each decoded once, so that an encoded slash stays inside its segment. An empty segment
/// (from `//` or a trailing slash) stays in the list and matches no route; "/" has no segments. Throws
/// ProblemException(400) for bad escapes, control bytes, text that is not UTF-8, and for "." and ".." in any spelling.
std::vector<std::string> decodePath(std::string_view rawPath);

/// Name and value pairs of a raw query in order, decoded, "+" as space. Throws ProblemException(400) like decodePath().
std::vector<std::pair<std::string, std::string>> decodeQuery(std::string_view rawQuery);

} // namespace matrixos::api
