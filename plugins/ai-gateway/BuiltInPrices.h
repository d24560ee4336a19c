/// The prices that come with the plugin.
#pragma once

#include <string_view>

namespace matrixos::gateway {

/// etc/prices.json, as it was when this was built.
std::string_view builtInPrices() noexcept;

} // namespace matrixos::gateway
