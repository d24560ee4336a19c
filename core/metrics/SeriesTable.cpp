#include "metrics/SeriesTable.h"

#include <sys/random.h>

#include <thread>

namespace matrixos::metrics {

namespace {

/// Even. Plugins hold handles, and shall not find those of others by trying.
std::uint32_t unguessable() {
  std::uint32_t number = 0;
  if (::getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number) return 0;
  return number & ~1U;
}

} // namespace

SeriesTable::Slot *SeriesTable::find(Handle handle) const noexcept {
  const auto index = static_cast<std::uint32_t>(handle);
  const std::size_t chunk = index / kChunkSlots;
  if (chunk >= kChunks) return nullptr;
  Chunk *const slots = chunks_[chunk].load(std::memory_order_acquire);
  return slots == nullptr ? nullptr : &(*slots)[index % kChunkSlots];
}

Handle SeriesTable::allocate(Metric metric) {
  const std::lock_guard lock(mutex_);
  std::uint32_t index = next_;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    const std::size_t chunk = index / kChunkSlots;
    if (chunk >= kChunks) return 0;
    if (chunk == owned_.size()) {
      owned_.push_back(std::make_unique<Chunk>());
      chunks_[chunk].store(owned_.back().get(), std::memory_order_release);
    }
    free_.reserve(next_ + 1U); // so that release() never allocates
    ++next_;
  }
  Slot &slot = *find(index);
  slot.metric = metric;
  const std::uint32_t generation = (slot.generation.load() != 0 ? slot.generation.load() : unguessable()) + 1;
  slot.generation.store(generation);
  return (static_cast<Handle>(generation) << 32U) | index;
}

void SeriesTable::release(Handle handle) {
  Slot *const slot = find(handle);
  std::uint32_t expected = generationOf(handle);
  if (slot == nullptr || !slot->generation.compare_exchange_strong(expected, expected + 1)) return;
  while (slot->users.load() != 0)
    std::this_thread::yield();
  const std::lock_guard lock(mutex_);
  free_.push_back(static_cast<std::uint32_t>(handle));
}

} // namespace matrixos::metrics
