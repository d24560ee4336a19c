#include "http/ExchangeTable.h"

namespace matrixos::api {

namespace {
constexpr std::chrono::minutes kAbandonedFor{10};
constexpr std::uint64_t kIndexMask = 0xFFFFFFFF;
} // namespace

void ExchangeTable::add(const std::shared_ptr<Exchange> &exchange) {
  std::vector<std::shared_ptr<Exchange>> expired; // destroyed after the lock
  const std::lock_guard lock(mutex_);
  while (!abandoned_.empty() && Clock::now() - abandoned_.front().since > kAbandonedFor) {
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

std::shared_ptr<Exchange> ExchangeTable::find(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const Slot *slot = const_cast<ExchangeTable *>(this)->slotOf(id);
  return slot != nullptr ? slot->exchange : nullptr;
}

std::shared_ptr<Exchange> ExchangeTable::release(std::uint64_t id) {
  Slot *slot = slotOf(id);
  if (slot == nullptr) return nullptr;
  ++slot->generation;
  if (slot->generation == 0) slot->generation = 1;
  free_.push_back(static_cast<std::uint32_t>(id & kIndexMask));
  --used_;
  return std::move(slot->exchange);
}

void ExchangeTable::forget(std::uint64_t id) {
  std::shared_ptr<Exchange> last;
  const std::lock_guard lock(mutex_);
  last = release(id);
}

void ExchangeTable::abandon(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  if (slotOf(id) != nullptr) abandoned_.push_back({Clock::now(), id});
}

bool ExchangeTable::mayEnter(OwnerId owner) const {
  if (owner == 0) return true;
  if (limits_.all > 0 && busyForOwners_ >= static_cast<std::size_t>(limits_.all)) return false;
  if (limits_.perOwner <= 0) return true;
  const auto entry = busy_.find(owner);
  return entry == busy_.end() || entry->second < static_cast<std::size_t>(limits_.perOwner);
}

bool ExchangeTable::enter(OwnerId owner, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  if (!mayEnter(owner)) {
    // Somebody has waited in vain and nothing has ended since: more of them would fill the workers with waiting.
    if (stuck_.count(owner) != 0) return false;
    if (!idle_.wait_until(lock, deadline, [&] { return mayEnter(owner); })) {
      stuck_.insert(owner);
      return false;
    }
  }
  ++busy_[owner];
  if (owner != 0) ++busyForOwners_;
  return true;
}

void ExchangeTable::exit(OwnerId owner) {
  const std::lock_guard lock(mutex_);
  const auto entry = busy_.find(owner);
  if (--entry->second == 0) busy_.erase(entry);
  if (owner != 0) {
    --busyForOwners_;
    stuck_.clear();
  }
  idle_.notify_all();
}

void ExchangeTable::cancel(const OwnerId *owner, const Problem &problem) {
  std::vector<std::shared_ptr<Exchange>> chosen;
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

bool ExchangeTable::waitIdle(OwnerId owner, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return idle_.wait_until(lock, deadline, [&] { return busy_.find(owner) == busy_.end(); });
}

void ExchangeTable::purge(OwnerId owner) {
  std::vector<std::shared_ptr<Exchange>> last;
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
