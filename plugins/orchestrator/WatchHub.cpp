#include "WatchHub.h"

#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::orchestrator {

namespace {
constexpr std::size_t kKeptDeletions = 4096;
}

std::uint64_t WatchHub::begin() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t rev = next_++;
  open_.insert(rev);
  return rev;
}

void WatchHub::finish(const ChangePtr &change) {
  const std::lock_guard lock(mutex_);
  open_.erase(change->rev);
  held_.emplace(change->rev, change);
  releaseReady();
}

void WatchHub::abandon(std::uint64_t rev) noexcept {
  const std::lock_guard lock(mutex_);
  open_.erase(rev);
  releaseReady();
}

std::uint64_t WatchHub::reached() const {
  const std::lock_guard lock(mutex_);
  return reachedLocked();
}

void WatchHub::releaseReady() {
  // Posting under the lock is what keeps the order between two writers; the strand only queues here.
  while (!held_.empty() && (open_.empty() || held_.begin()->first < *open_.begin())) {
    const ChangePtr change = held_.begin()->second;
    held_.erase(held_.begin());
    if (change->deleted) {
      deletions_.push_back(change);
      if (deletions_.size() > kKeptDeletions) {
        forgottenDeletion_ = deletions_.front()->rev;
        deletions_.pop_front();
      }
    }
    strand_.post([this, change] { deliver(change); });
  }
}

void WatchHub::deliver(const ChangePtr &change) {
  for (const auto &watcher : watchers()) {
    if (!watcher->synced || !watcher->live) continue;
    watcher->abi.changed(watcher->abi.ctx, change->rev, toAbi(change->handle), toAbi(change->json));
  }
}

std::vector<std::shared_ptr<WatchHub::Watcher>> WatchHub::watchers() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Watcher>> list;
  for (const auto &[id, watcher] : watchers_)
    list.push_back(watcher);
  return list;
}

std::uint64_t WatchHub::watch(std::uint64_t sinceRev, const mos_instance_watcher &abi) {
  if (abi.changed == nullptr || abi.synced == nullptr) {
    throw Error(Status::InvalidArgument, "a watcher needs both changed and synced");
  }
  const auto watcher = std::make_shared<Watcher>();
  watcher->abi = abi;
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (sinceRev >= next_ || (sinceRev != 0 && sinceRev < forgottenDeletion_)) {
      throw Error(Status::OutOfRange, "the changes since revision " + std::to_string(sinceRev) + " are not all known",
                  "RESYNC");
    }
    id = nextWatch_++;
    watchers_.emplace(id, watcher);
  }
  strand_.post([this, watcher, sinceRev] { sendSnapshot(*watcher, sinceRev); });
  return id;
}

void WatchHub::sendSnapshot(Watcher &watcher, std::uint64_t sinceRev) {
  std::uint64_t upTo = 0;
  std::deque<ChangePtr> deletions;
  {
    // What is finished now is either in the snapshot or still to be delivered; the rest has a higher revision.
    const std::lock_guard lock(mutex_);
    upTo = reachedLocked();
    if (sinceRev != 0) {
      for (const ChangePtr &deletion : deletions_) {
        if (deletion->rev > sinceRev) deletions.push_back(deletion);
      }
    }
  }
  const auto tell = [&](std::uint64_t rev, const std::string &handle, const std::string &json) {
    if (watcher.live) watcher.abi.changed(watcher.abi.ctx, rev, toAbi(handle), toAbi(json));
  };
  const auto tellDeletions = [&](std::uint64_t before) {
    for (; !deletions.empty() && deletions.front()->rev < before; deletions.pop_front())
      tell(deletions.front()->rev, deletions.front()->handle, deletions.front()->json);
  };
  std::vector<InstanceView> records = snapshot_(sinceRev);
  std::sort(records.begin(), records.end(),
            [](const InstanceView &a, const InstanceView &b) { return a.instance->rev < b.instance->rev; });
  // Each is put into words when its turn comes: the texts of 100,000 would be many times what they are made from.
  for (const InstanceView &record : records) {
    if (!watcher.live) return;
    tellDeletions(record.instance->rev);
    tell(record.instance->rev, record.instance->handle, record.json());
  }
  tellDeletions(UINT64_MAX);
  watcher.synced = true;
  if (watcher.live) watcher.abi.synced(watcher.abi.ctx, upTo);
}

void WatchHub::unwatch(std::uint64_t watch) {
  std::shared_ptr<Watcher> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto found = watchers_.find(watch);
    if (found == watchers_.end()) throw Error(Status::NotFound, "there is no watch " + std::to_string(watch));
    gone = found->second;
    watchers_.erase(found);
  }
  gone->live = false;
  strand_.sync();
}

} // namespace matrixos::orchestrator
