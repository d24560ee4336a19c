/// Who a timer, a queued task or a subscription belongs to.
#pragma once

#include <atomic>
#include <cstdint>

namespace matrixos::common {

/// Names one life of one plugin (create() to destroy()), so that its left-overs can be swept without touching those of
/// the next life of the same plugin. Never reused within a process.
using Owner = std::uint64_t;

/// The daemon itself.
constexpr Owner kCoreOwner = 0;

/// A fresh owner. Any thread.
inline Owner makeOwner() noexcept {
  static std::atomic<Owner> last{kCoreOwner};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

} // namespace matrixos::common
