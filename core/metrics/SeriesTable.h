/// Handles for time series. Internal to core/metrics.
#pragma once

#include "metrics/Metrics.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::metrics {

/// Maps handles to metrics without a lock on the way in: a handle is a slot and its generation. A caller in a slot is
/// counted, and release() waits for it, so that a metric is never freed under an event loop that adds to it.
class SeriesTable {
public:
  /// What a slot holds: a prometheus::Counter, Gauge or Histogram, by type. Not owned.
  struct Metric {
    Type type = Type::Counter;
    void *object = nullptr;
  };

  /// A slot for the metric; 0 when all slots are taken.
  Handle allocate(Metric metric);
  /// Makes the handle stale and waits for those who are using it now, which takes no longer than one addition.
  void release(Handle handle);

  /// Calls use(metric) unless the handle is stale.
  void with(Handle handle, auto &&use) noexcept {
    Slot *const slot = find(handle);
    if (slot == nullptr) return;
    // Count first, then look: release() changes the generation first and then looks at the count. One of the two sees
    // the other, as both are sequentially consistent.
    slot->users.fetch_add(1);
    if (slot->generation.load() == generationOf(handle)) use(slot->metric);
    slot->users.fetch_sub(1, std::memory_order_release);
  }

private:
  struct Slot {
    std::atomic<std::uint32_t> generation{0}; ///< odd while in use
    std::atomic<std::uint32_t> users{0};
    Metric metric;
  };
  static constexpr std::size_t kChunkSlots = 1024;
  static constexpr std::size_t kChunks = 1024;
  using Chunk = std::array<Slot, kChunkSlots>;

  static std::uint32_t generationOf(Handle handle) noexcept { return static_cast<std::uint32_t>(handle >> 32U); }
  Slot *find(Handle handle) const noexcept;

  std::mutex mutex_;
  std::array<std::atomic<Chunk *>, kChunks> chunks_{};
  std::vector<std::unique_ptr<Chunk>> owned_;
  std::vector<std::uint32_t> free_;
  std::uint32_t next_ = 0;
};

} // namespace matrixos::metrics
