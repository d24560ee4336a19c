#include "RouteTable.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <functional>

namespace matrixos::proxy {

namespace {

/// An upstream with what its keys stand for: the instance and the epoch of each candidate.
struct Keyed : http::Upstream {
  std::vector<std::string> owners;
};

const http::Upstream::Candidate *findCandidate(const http::Upstream *upstream, const Address &address,
                                               const std::string &owner) {
  if (upstream == nullptr) return nullptr;
  const auto &known = static_cast<const Keyed &>(*upstream);
  for (std::size_t i = 0; i < known.candidates.size(); ++i) {
    if (known.owners[i] == owner && known.candidates[i].address == address) return &known.candidates[i];
  }
  return nullptr;
}

bool hasKey(const http::Upstream *upstream, std::uint64_t key) {
  if (upstream == nullptr) return false;
  return std::any_of(upstream->candidates.begin(), upstream->candidates.end(),
                     [&](const auto &candidate) { return candidate.key == key; });
}

/// Adds what `before` had and `after` has not.
void addGone(const http::Upstream *before, const http::Upstream *after, std::vector<http::Upstream::Candidate> &gone) {
  if (before == nullptr || before == after) return;
  for (const auto &candidate : before->candidates) {
    if (!hasKey(after, candidate.key)) gone.push_back(candidate);
  }
}

} // namespace

std::size_t RouteTable::shardOf(std::string_view handle) noexcept {
  return std::hash<std::string_view>{}(handle) % kShards;
}

std::size_t RouteTable::size() const {
  std::size_t sum = 0;
  for (const Slot &slot : slots_) {
    const std::lock_guard lock(slot.mutex);
    sum += slot.shard->size();
  }
  return sum;
}

bool RouteTable::hasFromWake(std::string_view handle, std::uint64_t rev) const {
  const Slot &slot = slots_[shardOf(handle)];
  const std::lock_guard lock(slot.mutex);
  const auto found = slot.shard->find(std::string(handle));
  return found != slot.shard->end() && found->second->fromWake && found->second->rev == rev;
}

void RouteTable::take(const InstanceRecord &record, bool fromWake) {
  const bool deleted = record.status == InstanceStatus::Deleted;
  Candidates gone;
  {
    Slot &slot = slots_[shardOf(record.handle)];
    const std::lock_guard lock(slot.mutex);
    const auto found = slot.shard->find(record.handle);
    const std::shared_ptr<const InstanceRoute> before = found == slot.shard->end() ? nullptr : found->second;
    // Watch and wake both deliver records; whichever is older loses.
    if (before && before->id == record.id && before->rev > record.rev) return;
    if (!before && (deleted || fromWake)) return;
    // The record of a former owner may arrive after the handle was given away.
    if (before && before->id != record.id && (deleted || before->rev > record.rev || fromWake)) return;

    auto next = std::make_shared<Shard>(*slot.shard);
    std::shared_ptr<const InstanceRoute> after;
    if (deleted)
      next->erase(record.handle);
    else
      (*next)[record.handle] = after = makeRoute(record, before.get(), fromWake);
    slot.shard = std::move(next);
    slot.generation.fetch_add(1, std::memory_order_release);
    if (before) {
      addGone(before->lastShell.get(), after ? after->lastShell.get() : nullptr, gone);
      addGone(before->lastGateway.get(), after ? after->lastGateway.get() : nullptr, gone);
    }
  }
  if (!gone.empty()) tellRetired(gone);
}

void RouteTable::onRetired(Retired retired) {
  const std::lock_guard lock(retiredMutex_);
  retired_ = std::move(retired);
}

void RouteTable::tellRetired(const Candidates &gone) {
  const std::lock_guard lock(retiredMutex_);
  if (!retired_) return;
  for (const auto &candidate : gone)
    retired_(candidate);
}

std::shared_ptr<const InstanceRoute> RouteTable::makeRoute(const InstanceRecord &record, const InstanceRoute *before,
                                                           bool fromWake) {
  auto route = std::make_shared<InstanceRoute>();
  route->id = record.id;
  route->handle = record.handle;
  route->status = record.status;
  route->phase = record.phase;
  route->rev = record.rev;
  route->fromWake = fromWake;
  route->activity = before != nullptr ? before->activity : std::make_shared<ActivityCell>(record.handle);
  if (before != nullptr && before->id == record.id) {
    route->lastShell = before->lastShell;
    route->lastGateway = before->lastGateway;
  }
  // Somebody wanted it stopped; one that ends by itself does not pass through this phase.
  if (record.phase == InstancePhase::Stopping) route->activity->stoppedNanos.store(monotonicNanos());
  if (!route->running()) return route;
  // While it did not run somebody else may have had its address.
  const bool ran = before != nullptr && before->running();
  route->shell = makeUpstream(record, "shell", ran ? route->lastShell : nullptr);
  route->gateway = makeUpstream(record, "gateway", ran ? route->lastGateway : nullptr);
  if (route->shell) route->lastShell = route->shell;
  if (route->gateway) route->lastGateway = route->gateway;
  return route;
}

std::shared_ptr<const http::Upstream> RouteTable::makeUpstream(const InstanceRecord &record, std::string_view name,
                                                               const std::shared_ptr<const http::Upstream> &known) {
  auto made = std::make_shared<Keyed>();
  bool same = known != nullptr;
  for (const auto &endpoint : record.endpoints) {
    if (endpoint.name != name) continue;
    const auto address = Address::tryIp(endpoint.address, endpoint.port);
    if (!address) continue; // a name: the data plane resolves nothing
    // An unchanged endpoint keeps its connections; any change of instance, address or epoch gets a new number.
    const std::string owner = record.id + "\n" + endpoint.epoch;
    const auto *old = findCandidate(known.get(), *address, owner);
    const std::size_t index = made->candidates.size();
    same = same && old != nullptr && index < known->candidates.size() && old == &known->candidates[index];
    made->candidates.push_back(old != nullptr ? *old
                                              : http::Upstream::Candidate{*address, lastKey_.fetch_add(1) + 1,
                                                                          std::make_shared<http::Retirement>()});
    // Behind a published port an engine's proxy takes what it cannot pass on.
    if (old == nullptr && endpoint.scope == "bridge")
      made->candidates.back().reached = std::make_shared<std::atomic<bool>>(false);
    made->owners.push_back(owner);
  }
  if (made->candidates.empty()) return nullptr;
  if (same && made->candidates.size() == known->candidates.size()) return known;
  return made;
}

std::shared_ptr<const InstanceRoute> RouteCache::find(const std::string &handle) {
  const std::size_t index = RouteTable::shardOf(handle);
  const RouteTable::Slot &slot = table_.slots_[index];
  Entry &entry = entries_[index];
  if (entry.generation != slot.generation.load(std::memory_order_acquire)) {
    const std::lock_guard lock(slot.mutex);
    entry.shard = slot.shard;
    entry.generation = slot.generation.load(std::memory_order_relaxed);
  }
  const auto found = entry.shard->find(handle);
  return found == entry.shard->end() ? nullptr : found->second;
}

} // namespace matrixos::proxy
