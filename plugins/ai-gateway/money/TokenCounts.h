/// How many tokens a call took.
#pragma once

#include <cstdint>

namespace matrixos::gateway {

/// By what they cost.
struct TokenCounts {
  std::uint32_t input = 0; ///< neither read from the cache nor written to it
  std::uint32_t cacheRead = 0;
  std::uint32_t cacheWrite5m = 0;
  std::uint32_t cacheWrite1h = 0;
  std::uint32_t output = 0;
  std::uint32_t webSearches = 0; ///< requests

  bool operator==(const TokenCounts &) const = default;
};

} // namespace matrixos::gateway
