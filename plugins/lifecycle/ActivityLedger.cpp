#include "ActivityLedger.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace matrixos::lifecycle {

namespace {

constexpr std::int64_t kBucketMs = 60'000;
/// Those who report open exchanges do so every 400 ms; a report that is late ends none.
constexpr std::int64_t kOpenMs = 1'000;

std::uint64_t addCapped(std::uint64_t a, std::uint64_t b) {
  return a > std::numeric_limits<std::uint64_t>::max() - b ? std::numeric_limits<std::uint64_t>::max() : a + b;
}

void addToBuckets(std::vector<UseBucket> &buckets, std::int64_t atMs, std::uint64_t count) {
  if (!buckets.empty() && atMs / kBucketMs <= buckets.back().atMs / kBucketMs) {
    buckets.back().atMs = std::max(buckets.back().atMs, atMs);
    buckets.back().count = addCapped(buckets.back().count, count);
    return;
  }
  if (buckets.size() == ActivityLedger::kBuckets) buckets.erase(buckets.begin());
  buckets.push_back({atMs, count});
}

} // namespace

std::int64_t ActivityLedger::Entry::usedUntil(std::int64_t silentMs) const noexcept {
  return std::max(seenBootMs, std::min(openBootMs, seenBootMs + silentMs));
}

ActivityLedger::Entry *ActivityLedger::entryFor(std::string_view handle) {
  const auto found = entries_.find(handle);
  if (found != entries_.end()) return &found->second;
  if (entries_.size() >= kMaxEntries) return nullptr;
  return &entries_[std::string(handle)];
}

void ActivityLedger::addPending(std::string_view handle, std::int64_t atMs, std::uint64_t count) {
  auto found = pending_.find(handle);
  if (found == pending_.end()) {
    if (pending_.size() >= kMaxEntries) return;
    found = pending_.emplace(std::string(handle), PendingUse{std::string(handle), atMs, 0}).first;
  }
  found->second.atMs = std::max(found->second.atMs, atMs);
  found->second.count = addCapped(found->second.count, count);
}

bool ActivityLedger::note(std::string_view handle, std::int64_t atMs, std::uint64_t count, std::int64_t bootMs) {
  const std::uint64_t uses = std::max<std::uint64_t>(1, count);
  const std::lock_guard lock(mutex_);
  Entry *entry = entryFor(handle);
  if (entry == nullptr) return false;
  entry->seenBootMs = std::max(entry->seenBootMs, bootMs);
  addToBuckets(entry->buckets, atMs, uses);
  if (entry->holds != 0) return true;
  addPending(handle, atMs, uses);
  return false;
}

bool ActivityLedger::touch(std::string_view handle, std::int64_t bootMs) {
  const std::lock_guard lock(mutex_);
  Entry *entry = entryFor(handle);
  if (entry == nullptr) return false;
  entry->seenBootMs = std::max(entry->seenBootMs, bootMs);
  return entry->holds != 0;
}

void ActivityLedger::noteOpen(std::string_view handle, std::int64_t bootMs) {
  const std::lock_guard lock(mutex_);
  Entry *entry = entryFor(handle);
  if (entry == nullptr) return;
  if (entry->seenBootMs == 0) entry->seenBootMs = bootMs; // how long it has been silent is not known here
  entry->openBootMs = std::max(entry->openBootMs, bootMs + kOpenMs);
}

std::vector<PendingUse> ActivityLedger::take() {
  StringMap<PendingUse> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(pending_);
  }
  std::vector<PendingUse> uses;
  uses.reserve(taken.size());
  for (auto &[handle, use] : taken)
    uses.push_back(std::move(use));
  return uses;
}

std::optional<PendingUse> ActivityLedger::take(std::string_view handle) {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(handle);
  if (found == pending_.end()) return std::nullopt;
  PendingUse use = std::move(found->second);
  pending_.erase(found);
  return use;
}

void ActivityLedger::putBack(std::vector<PendingUse> uses) {
  const std::lock_guard lock(mutex_);
  for (const PendingUse &use : uses)
    addPending(use.handle, use.atMs, use.count);
}

void ActivityLedger::hold(std::string_view handle) {
  const std::lock_guard lock(mutex_);
  if (Entry *entry = entryFor(handle)) ++entry->holds;
}

void ActivityLedger::release(std::string_view handle) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  if (found != entries_.end() && found->second.holds != 0) --found->second.holds;
}

std::optional<std::int64_t> ActivityLedger::lastSeen(std::string_view handle, std::int64_t silentMs) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  if (found == entries_.end()) return std::nullopt;
  return found->second.usedUntil(silentMs);
}

std::vector<UseBucket> ActivityLedger::recent(std::string_view handle) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  return found == entries_.end() ? std::vector<UseBucket>{} : found->second.buckets;
}

std::vector<std::string> ActivityLedger::seenBefore(std::int64_t bootMs, std::int64_t silentMs) const {
  std::vector<std::pair<std::int64_t, std::string>> found;
  {
    const std::lock_guard lock(mutex_);
    for (const auto &[handle, entry] : entries_) {
      const std::int64_t seen = entry.usedUntil(silentMs);
      if (seen < bootMs) found.emplace_back(seen, handle);
    }
  }
  std::sort(found.begin(), found.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  std::vector<std::string> handles;
  handles.reserve(found.size());
  for (auto &[seen, handle] : found)
    handles.push_back(std::move(handle));
  return handles;
}

void ActivityLedger::forget(std::string_view handle, std::int64_t seenBeforeBootMs) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  if (found == entries_.end() || found->second.holds != 0 || found->second.seenBootMs >= seenBeforeBootMs) return;
  entries_.erase(found);
}

} // namespace matrixos::lifecycle
