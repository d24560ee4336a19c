/// Every instance in memory: what look-ups, listings and watchers are served from.
#pragma once

#include "Instance.h"
#include "InstanceStore.h"
#include "Strand.h"
#include "WatchHub.h"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::orchestrator {

/// A record as it was published, and what watchers are told of it.
struct Published {
  InstancePtr record;
  WatchHub::ChangePtr change;

  const std::string &json() const noexcept { return change->json; }
};

/// Index of the instances by handle, id, owner and token; O(1), any thread, never blocks on I/O. Records are immutable
/// and shared; JSON is written on demand (about a microsecond), which costs less than keeping it for 100,000 instances.
///
/// Activity and progress have no revision and are not announced to watchers: they are read with view() or json().
class InstanceTable {
public:
  explicit InstanceTable(Strand &strand);

  /// Fills the table from the database; before any other use.
  void load(const InstanceStore &store);

  std::optional<InstanceView> view(std::string_view handle) const;
  /// Null when there is none.
  InstancePtr find(std::string_view handle) const;
  InstancePtr findById(std::string_view id) const;
  /// By the runtime's ref; looks through all of them.
  InstancePtr findByRef(std::string_view ref) const;
  InstancePtr findByUser(std::string_view clerkUserId) const;
  /// By the hash of its token; null also for one that is being deleted.
  InstancePtr findByToken(std::string_view hash) const;
  /// Newest first; an empty status means all.
  std::vector<InstanceView> list(std::string_view status) const;
  std::vector<InstancePtr> all() const;
  /// At most `most` volumes of instances that once ran, without that of the instance `except`.
  std::vector<std::string> someVolumes(std::size_t most, std::string_view except) const;
  std::size_t size() const;
  /// How many have each status, in the order of statusAt().
  std::array<std::size_t, kStatusCount> counts() const;

  /// A revision for a change that is about to be written; publish(), remove() or abandon() has to follow.
  std::uint64_t beginRev() { return hub_.begin(); }
  void abandonRev(std::uint64_t rev) noexcept { hub_.abandon(rev); }
  /// Every change up to this revision is published.
  std::uint64_t reachedRev() const { return hub_.reached(); }
  /// The record as it is now; sets its status. Its rev comes from beginRev().
  Published publish(Instance instance);
  void remove(const Instance &instance, std::uint64_t rev);

  void setProgress(std::string_view handle, Progress progress);
  void clearProgress(std::string_view handle);

  /// What events said of the end of this container's program; merged with what the same run's events said before.
  void noteEnd(std::string_view handle, const EndHint &hint);

  /// Notes use; unknown handles are ignored. lastActive never goes back, unless the clock does.
  void recordActivity(std::string_view handle, std::int64_t atMs, std::uint64_t count);
  /// What changed since the last call.
  std::vector<ActivityRow> takeActivity();
  /// Gives rows back that could not be written.
  void returnActivity(const std::vector<ActivityRow> &rows);

  std::uint64_t watch(std::uint64_t sinceRev, const mos_instance_watcher &watcher) {
    return hub_.watch(sinceRev, watcher);
  }
  void unwatch(std::uint64_t watch) { hub_.unwatch(watch); }

private:
  struct Slot {
    InstancePtr instance;
    std::int64_t lastActive = 0;
    std::uint64_t activitySeq = 0;
    bool activityDirty = false;
    std::shared_ptr<const Progress> progress;
    EndHint endHint;
  };
  using Order = std::pair<std::int64_t, std::string_view>; ///< createdAt, id of the record itself
  using Newest = std::map<Order, Slot *, std::greater<>>;

  static InstanceView viewOf(const Slot &slot);
  std::vector<InstanceView> newerThan(std::uint64_t rev) const;
  Slot &put(Instance instance);
  void drop(Slot &slot);

  mutable std::shared_mutex mutex_;
  // Keys point into the records, so a replaced record re-keys its entries.
  std::unordered_map<std::string_view, std::unique_ptr<Slot>> byHandle_;
  std::unordered_map<std::string_view, Slot *> byId_;
  std::unordered_map<std::string_view, Slot *> byUser_;
  std::unordered_map<std::string_view, Slot *> byToken_;
  Newest byAge_;
  std::array<Newest, kStatusCount> byStatus_; ///< in the order of statusAt(); a listing of few among many costs the few
  std::vector<std::string> dirty_;            ///< ids
  WatchHub hub_;
};

} // namespace matrixos::orchestrator
