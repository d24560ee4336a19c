#include "http/ExchangeTable.h"

namespace matrixos::api {

namespace {
constexpr std::chrono::minutes kAbandonedFor{10};
constexpr std::uint64_t kIndexMask = 0xFFFFFFFF;
} // namespace

void ExchangeTable::add(const std::shared_ptr<ApiExchange> &exchange) {
  std::vector<std::shared_ptr<ApiExchange>> expired; // destroyed after the lock
  const std::lock_guard lock(mutex_);
  while (!abandoned_.empty() && std::chrono::steady_clock::now() - abandoned_.front().since > kAbandonedFor) {
    expired.push_back(release(abandoned_.front().id));
    abandoned_.pop_front();
  }
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Slot &slot = slots_[index];
  slot.exchange = exchange;
  exchange->setId((std::uint64_t{slot.generation} << 32U) | index);
  ++used_;
}

ExchangeTable::Slot *ExchangeTable::slotOf(std::uint64_t id) {
  const std::uint64_t index = id & kIndexMask;
  if (index >= slots_.size()) return nullptr;
  Slot &slot = slots_[index];
  return slot.generation == id >> 32U && slot.exchange ? &slot : nullptr;
}

std::shared_ptr<ApiExchange> ExchangeTable::find(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const Slot *slot = const_cast<ExchangeTable *>(this)->slotOf(id);
  return slot != nullptr ? slot->exchange : nullptr;
}

std::shared_ptr<ApiExchange> ExchangeTable::release(std::uint64_t id) {
  Slot *slot = slotOf(id);
  if (slot == nullptr) return nullptr;
  ++slot->generation;
  if (slot->generation == 0) slot->generation = 1;
  free_.push_back(static_cast<std::uint32_t>(id & kIndexMask));
  --used_;
  return std::move(slot->exchange);
}

void ExchangeTable::forget(std::uint64_t id) {
  std::shared_ptr<ApiExchange> last;
  const std::lock_guard lock(mutex_);
  last = release(id);
}

void ExchangeTable::abandon(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  if (slotOf(id) != nullptr) abandoned_.push_back({std::chrono::steady_clock::now(), id});
}

void ExchangeTable::cancel(const OwnerId *owner, const Problem &problem) {
  std::vector<std::shared_ptr<ApiExchange>> chosen;
  {
    const std::lock_guard lock(mutex_);
    for (const Slot &slot : slots_) {
      if (slot.exchange && (owner == nullptr || slot.exchange->data().route->owner == *owner)) {
        chosen.push_back(slot.exchange);
      }
    }
  }
  for (const auto &exchange : chosen)
    exchange->cancel(problem);
}

void ExchangeTable::purge(OwnerId owner) {
  std::vector<std::shared_ptr<ApiExchange>> last;
  const std::lock_guard lock(mutex_);
  std::deque<Abandoned> kept;
  for (const Abandoned &item : abandoned_) {
    const Slot *slot = slotOf(item.id);
    if (slot == nullptr) continue;
    if (slot->exchange->data().route->owner == owner)
      last.push_back(release(item.id));
    else
      kept.push_back(item);
  }
  abandoned_.swap(kept);
}

std::size_t ExchangeTable::size() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

} // namespace matrixos::api
