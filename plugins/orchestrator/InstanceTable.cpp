#include "InstanceTable.h"

#include <matrixos/text/time.hpp>

#include <algorithm>
#include <mutex>

namespace matrixos::orchestrator {

namespace {

/// Events of one end come within this time.
constexpr std::int64_t kSameEndMs = 5'000;

} // namespace

InstanceTable::InstanceTable(Strand &strand) : hub_(strand, [this](std::uint64_t rev) { return newerThan(rev); }) {}

void InstanceTable::load(const InstanceStore &store) {
  store.forEach([this](Instance row) { put(std::move(row)); });
  hub_.startAfter(store.maxRev());
}

InstanceView InstanceTable::viewOf(const Slot &slot) {
  // A clock that was set back since leaves times in the future.
  return {slot.instance, std::min(slot.lastActive, wallClockMs()), slot.activitySeq, slot.progress, slot.endHint};
}

std::optional<InstanceView> InstanceTable::view(std::string_view handle) const {
  const std::shared_lock lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found == byHandle_.end()) return std::nullopt;
  return viewOf(*found->second);
}

InstancePtr InstanceTable::find(std::string_view handle) const {
  const std::shared_lock lock(mutex_);
  const auto found = byHandle_.find(handle);
  return found == byHandle_.end() ? nullptr : found->second->instance;
}

InstancePtr InstanceTable::findById(std::string_view id) const {
  const std::shared_lock lock(mutex_);
  const auto found = byId_.find(id);
  return found == byId_.end() ? nullptr : found->second->instance;
}

InstancePtr InstanceTable::findByRef(std::string_view ref) const {
  const std::shared_lock lock(mutex_);
  for (const auto &[handle, slot] : byHandle_) {
    if (slot->instance->containerId == ref) return slot->instance;
  }
  return nullptr;
}

InstancePtr InstanceTable::findByUser(std::string_view clerkUserId) const {
  const std::shared_lock lock(mutex_);
  const auto found = byUser_.find(clerkUserId);
  return found == byUser_.end() ? nullptr : found->second->instance;
}

InstancePtr InstanceTable::findByToken(std::string_view hash) const {
  const std::shared_lock lock(mutex_);
  const auto found = byToken_.find(hash);
  if (found == byToken_.end() || found->second->instance->phase == Phase::Deleting) return nullptr;
  return found->second->instance;
}

std::vector<InstanceView> InstanceTable::list(std::string_view status) const {
  const std::shared_lock lock(mutex_);
  std::vector<InstanceView> views;
  const std::size_t index = indexOf(instanceStatusOf(status));
  if (!status.empty() && index >= byStatus_.size()) return views;
  const Newest &chosen = status.empty() ? byAge_ : byStatus_[index];
  views.reserve(chosen.size());
  for (const auto &[age, slot] : chosen)
    views.push_back(viewOf(*slot));
  return views;
}

std::vector<InstancePtr> InstanceTable::all() const {
  const std::shared_lock lock(mutex_);
  std::vector<InstancePtr> records;
  records.reserve(byAge_.size());
  for (const auto &[age, slot] : byAge_)
    records.push_back(slot->instance);
  return records;
}

std::vector<std::string> InstanceTable::someVolumes(std::size_t most, std::string_view except) const {
  const std::shared_lock lock(mutex_);
  std::vector<std::string> volumes;
  for (auto at = byAge_.begin(); at != byAge_.end() && volumes.size() < most; ++at) {
    const Instance &instance = *at->second->instance;
    if (instance.onceRan() && !instance.volume.empty() && instance.id != except) volumes.push_back(instance.volume);
  }
  return volumes;
}

std::size_t InstanceTable::size() const {
  const std::shared_lock lock(mutex_);
  return byHandle_.size();
}

std::array<std::size_t, kStatusCount> InstanceTable::counts() const {
  const std::shared_lock lock(mutex_);
  std::array<std::size_t, kStatusCount> counts{};
  for (std::size_t i = 0; i < counts.size(); ++i)
    counts[i] = byStatus_[i].size();
  return counts;
}

Published InstanceTable::publish(Instance instance) {
  Published published;
  Change change{instance.rev, instance.handle, {}, false};
  {
    const std::unique_lock lock(mutex_);
    const Slot &slot = put(std::move(instance));
    published.record = slot.instance;
    change.json = viewOf(slot).json();
  }
  published.change = std::make_shared<const Change>(std::move(change));
  hub_.finish(published.change);
  return published;
}

void InstanceTable::remove(const Instance &instance, std::uint64_t rev) {
  {
    const std::unique_lock lock(mutex_);
    const auto found = byHandle_.find(instance.handle);
    if (found != byHandle_.end()) {
      const InstancePtr keysLiveUntilHere = found->second->instance;
      drop(*found->second);
      byHandle_.erase(found);
    }
  }
  hub_.finish(std::make_shared<const Change>(
      Change{rev, instance.handle, deletedJson(instance.handle, instance.id, rev), true}));
}

InstanceTable::Slot &InstanceTable::put(Instance next) {
  next.status = statusOf(next);
  const auto instance = std::make_shared<const Instance>(std::move(next));
  std::unique_ptr<Slot> slot;
  InstancePtr previous; // its texts are the keys until they are erased
  if (const auto found = byHandle_.find(instance->handle); found != byHandle_.end()) {
    previous = found->second->instance;
    drop(*found->second);
    auto node = byHandle_.extract(found);
    slot = std::move(node.mapped());
  } else {
    slot = std::make_unique<Slot>();
    slot->lastActive = instance->lastActive;
    slot->activitySeq = instance->activitySeq;
  }
  slot->instance = instance;
  Slot *raw = slot.get();
  byHandle_.emplace(instance->handle, std::move(slot));
  byId_[instance->id] = raw;
  byUser_[instance->clerkUserId] = raw;
  if (!instance->tokenHash.empty()) byToken_[instance->tokenHash] = raw;
  const Order age{instance->createdAt, instance->id};
  byAge_[age] = raw;
  byStatus_.at(indexOf(instance->status))[age] = raw;
  return *raw;
}

void InstanceTable::drop(Slot &slot) {
  const Order age{slot.instance->createdAt, slot.instance->id};
  byStatus_.at(indexOf(slot.instance->status)).erase(age);
  byId_.erase(slot.instance->id);
  byUser_.erase(slot.instance->clerkUserId);
  byToken_.erase(slot.instance->tokenHash);
  byAge_.erase(age);
}

void InstanceTable::setProgress(std::string_view handle, Progress progress) {
  const std::unique_lock lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found != byHandle_.end()) found->second->progress = std::make_shared<const Progress>(std::move(progress));
}

void InstanceTable::clearProgress(std::string_view handle) {
  const std::unique_lock lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found != byHandle_.end()) found->second->progress.reset();
}

void InstanceTable::noteEnd(std::string_view handle, const EndHint &hint) {
  const std::unique_lock lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found == byHandle_.end()) return;
  EndHint &known = found->second->endHint;
  // Want of memory is said of its own, just before the end.
  const bool justBefore = known.exitCode == -1 && hint.at - known.at <= kSameEndMs;
  const bool outOfMemory = hint.oomKilled || (known.oomKilled && justBefore);
  known = hint;
  known.oomKilled = outOfMemory;
}

void InstanceTable::recordActivity(std::string_view handle, std::int64_t atMs, std::uint64_t count) {
  const std::unique_lock lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found == byHandle_.end()) return;
  Slot &slot = *found->second;
  // A reporter's clock may run ahead, and ours may have been set back.
  slot.lastActive = std::min(std::max(slot.lastActive, atMs), wallClockMs());
  slot.activitySeq += count == 0 ? 1 : count;
  if (slot.activityDirty) return;
  slot.activityDirty = true;
  dirty_.push_back(slot.instance->id);
}

std::vector<ActivityRow> InstanceTable::takeActivity() {
  const std::unique_lock lock(mutex_);
  std::vector<ActivityRow> rows;
  rows.reserve(dirty_.size());
  for (const std::string &id : dirty_) {
    const auto found = byId_.find(id);
    if (found == byId_.end()) continue;
    Slot &slot = *found->second;
    slot.activityDirty = false;
    rows.push_back({id, slot.lastActive, slot.activitySeq});
  }
  dirty_.clear();
  return rows;
}

void InstanceTable::returnActivity(const std::vector<ActivityRow> &rows) {
  const std::unique_lock lock(mutex_);
  for (const ActivityRow &row : rows) {
    const auto found = byId_.find(row.id);
    if (found == byId_.end() || found->second->activityDirty) continue;
    found->second->activityDirty = true;
    dirty_.push_back(row.id);
  }
}

std::vector<InstanceView> InstanceTable::newerThan(std::uint64_t rev) const {
  const std::shared_lock lock(mutex_);
  std::vector<InstanceView> views;
  for (const auto &[handle, slot] : byHandle_) {
    if (slot->instance->rev > rev) views.push_back(viewOf(*slot));
  }
  return views;
}

} // namespace matrixos::orchestrator
