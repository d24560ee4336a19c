/// Revisions, and the order in which watchers hear of them.
#pragma once

#include "Instance.h"
#include "Strand.h"

#include <matrixos/abi/orchestrator.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace matrixos::orchestrator {

/// What a watcher is told of one revision.
struct Change {
  std::uint64_t rev = 0;
  std::string handle;
  std::string json;
  bool deleted = false;
};

/// Hands out revisions and delivers changes to watchers in their order, each watcher one call at a time, on the
/// strand. Writers finish out of order (each waits for its own commit), so a change is held back until every lower
/// revision is finished or abandoned. Any thread.
class WatchHub {
public:
  using ChangePtr = std::shared_ptr<const Change>;
  /// Gives every record that is newer than a revision, as it is now; called on the strand.
  using Snapshot = std::function<std::vector<InstanceView>(std::uint64_t newerThan)>;

  WatchHub(Strand &strand, Snapshot snapshot) : strand_(strand), snapshot_(std::move(snapshot)) {}

  /// Revisions go on after `rev`. Before any other call.
  void startAfter(std::uint64_t rev) { next_ = rev + 1; }

  /// Takes the next revision. finish() or abandon() has to follow.
  std::uint64_t begin();
  void finish(const ChangePtr &change);
  void abandon(std::uint64_t rev) noexcept;
  /// Every revision up to this one is finished or abandoned.
  std::uint64_t reached() const;

  /// Throws Error(OutOfRange, RESYNC) when deletions since `sinceRev` are no longer known: watch from 0 then.
  std::uint64_t watch(std::uint64_t sinceRev, const mos_instance_watcher &watcher);
  /// Waits for a running call, except from inside it.
  void unwatch(std::uint64_t watch);

private:
  struct Watcher {
    mos_instance_watcher abi{};
    std::atomic<bool> live{true};
    bool synced = false; ///< strand only
  };

  std::uint64_t reachedLocked() const noexcept { return (open_.empty() ? next_ : *open_.begin()) - 1; }
  void releaseReady();
  void deliver(const ChangePtr &change);
  void sendSnapshot(Watcher &watcher, std::uint64_t sinceRev);
  std::vector<std::shared_ptr<Watcher>> watchers() const;

  Strand &strand_;
  Snapshot snapshot_;
  mutable std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::set<std::uint64_t> open_; ///< begun, neither finished nor abandoned
  std::map<std::uint64_t, ChangePtr> held_;
  std::deque<ChangePtr> deletions_; ///< the latest ones, for watchers that catch up
  std::uint64_t forgottenDeletion_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Watcher>> watchers_;
  std::uint64_t nextWatch_ = 1;
};

} // namespace matrixos::orchestrator
