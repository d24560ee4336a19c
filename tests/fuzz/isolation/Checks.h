#pragma once

#include <string_view>

namespace matrixos::isolation::fuzz {

/// Reads `bytes` as what one side sends: frames, of which each is decoded, written again and compared. Throws
/// std::logic_error when a frame that was accepted does not come out as it went in; refusals are no failure.
void checkFrames(std::string_view bytes);

} // namespace matrixos::isolation::fuzz
