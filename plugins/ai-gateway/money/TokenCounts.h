/// How many tokens a call took.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

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

/// Counts saturate: one that an upstream lies about must not wrap around to little.
constexpr std::uint32_t clampCount(std::uint64_t count) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
}
/// How many tokens bytes of text are taken for: one for three.
constexpr std::uint64_t tokensOf(std::uint64_t bytes) noexcept {
  return (bytes + 2) / 3;
}

} // namespace matrixos::gateway
