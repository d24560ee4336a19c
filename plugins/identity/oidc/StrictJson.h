#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace matrixos::identity {

using Json = nlohmann::json;

/// A JSON object (RFC 8259) that means the same to every reader: valid UTF-8, no member twice, nothing behind it,
/// nested at most 16 deep. Throws Error(InvalidArgument, "BAD_JSON"), whose message holds nothing of the text.
Json parseStrictObject(std::string_view text);

/// The text that a member of an object is; null when it is absent or something else.
const std::string *textIn(const Json &object, const char *name);

} // namespace matrixos::identity
