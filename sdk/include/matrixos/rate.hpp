/// matrixos/rate.hpp: the value of a config key of type rate.
#pragma once

#include <cstdint>

namespace matrixos {
inline namespace v1 {

/// At most `count` in `periodMs` milliseconds.
struct Rate {
  std::uint32_t count = 0; ///< 0: any number
  std::uint32_t periodMs = 0;

  bool isLimit() const noexcept { return count != 0; }
  friend bool operator==(const Rate &a, const Rate &b) noexcept {
    return a.count == b.count && a.periodMs == b.periodMs;
  }
};

} // namespace v1
} // namespace matrixos
