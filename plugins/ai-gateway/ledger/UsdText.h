#pragma once

#include "../money/Money.h"

#include <optional>
#include <string>
#include <string_view>

namespace matrixos::gateway {

/// US dollars as a decimal number, "0.054399": exact, with as many of twelve places as it takes.
std::string usdText(Money amount);
/// The other way round: digits, and a point with 1 to 12 more. Nothing for all else, and for what Money cannot hold.
std::optional<Money> usdOf(std::string_view text) noexcept;

} // namespace matrixos::gateway
