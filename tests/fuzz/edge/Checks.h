/// What has to hold for every input of the codec, hostile ones above all. Used by the libFuzzer targets, and by a unit
/// test that replays the committed corpora through the same functions.
#pragma once

#include <string_view>

namespace matrixos::edge::fuzz {

/// Each throws std::logic_error when an invariant is broken.
void checkRequest(std::string_view input);
void checkResponse(std::string_view input);
void checkChunked(std::string_view input);
void checkFrames(std::string_view input);
void checkPreface(std::string_view input);

} // namespace matrixos::edge::fuzz
