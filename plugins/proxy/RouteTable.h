/// RouteTable.h: who can be reached where.
#pragma once

#include "StartupThrottle.h"

#include <matrixos/instance_record.hpp>

#include <http/engine/Session.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace matrixos::proxy {

/// What is counted of an instance, by all loops and through all changes of its route.
struct ActivityCell {
  explicit ActivityCell(std::string name) : handle(std::move(name)) {}
  const std::string handle;
  std::atomic<std::uint64_t> count{0};                   ///< uses since they were last collected
  std::atomic<std::size_t> requests{0};                  ///< in flight, those that wait included
  std::atomic<std::size_t> webSockets{0};                ///< open, or being opened
  std::atomic<std::size_t> waiters{0};                   ///< requests that wait until it is ready
  std::atomic<std::int64_t> stoppedNanos{INT64_MIN / 2}; ///< CLOCK_MONOTONIC, when a stop of it was last asked for
  /// Key of the upstream that has answered as the shell, or the gateway, and not failed since.
  std::atomic<std::uint64_t> shellReady{0};
  std::atomic<std::uint64_t> gatewayReady{0};

  StartupThrottle throttle;

  /// Some exchange with it is under way, or waits.
  bool isOpen() const noexcept { return requests.load() != 0 || webSockets.load() != 0; }
  std::atomic<std::uint64_t> &ready(bool gateway) noexcept { return gateway ? gatewayReady : shellReady; }
};

/// A place among the requests, or the WebSockets, of one instance; given back at its end.
class InstancePlace {
public:
  InstancePlace() noexcept = default;
  InstancePlace(InstancePlace &&other) noexcept : cell_(std::move(other.cell_)), counter_(other.counter_) {}
  InstancePlace &operator=(InstancePlace &&other) noexcept {
    leave();
    cell_ = std::move(other.cell_);
    counter_ = other.counter_;
    return *this;
  }
  ~InstancePlace() { leave(); }

  /// False: `most` are taken.
  bool enter(std::shared_ptr<ActivityCell> cell, std::atomic<std::size_t> ActivityCell::*counter, std::size_t most) {
    leave();
    if (((*cell).*counter).fetch_add(1, std::memory_order_relaxed) >= most) {
      ((*cell).*counter).fetch_sub(1, std::memory_order_relaxed);
      return false;
    }
    cell_ = std::move(cell);
    counter_ = counter;
    return true;
  }
  void leave() noexcept {
    if (const auto cell = std::exchange(cell_, nullptr)) ((*cell).*counter_).fetch_sub(1, std::memory_order_relaxed);
  }

private:
  std::shared_ptr<ActivityCell> cell_;
  std::atomic<std::size_t> ActivityCell::*counter_ = nullptr;
};

/// One instance as the data plane sees it. Immutable.
struct InstanceRoute {
  std::string id;
  std::string handle;
  InstanceStatus status = InstanceStatus::Unknown;
  InstancePhase phase = InstancePhase::Unknown;
  std::uint64_t rev = 0;
  bool fromWake = false;                           ///< a wake brought this record, not yet the watch
  std::shared_ptr<const http::Upstream> shell;     ///< null: nowhere now
  std::shared_ptr<const http::Upstream> gateway;   ///< null: nowhere now
  std::shared_ptr<const http::Upstream> lastShell; ///< the same, kept while it does not run: its streams may go on
  std::shared_ptr<const http::Upstream> lastGateway;
  std::shared_ptr<ActivityCell> activity;

  bool running() const noexcept { return status == InstanceStatus::Running; }
};

/// All routes, in shards that are replaced as a whole: a reader never waits for a writer, and a change copies one
/// shard, not the table. apply() and synced() may be called on any thread; readers use a RouteCache each.
class RouteTable {
public:
  using Shard = std::unordered_map<std::string, std::shared_ptr<const InstanceRoute>>;
  static constexpr std::size_t kShards = 256;

  /// Takes a record in; one that is older than what is known is ignored.
  void apply(const InstanceRecord &record) { take(record, false); }
  /// The same for a record that did not come with the watch, and may have been overtaken by it: it never brings back an
  /// instance that is gone, whose address may be another's by now.
  void refresh(const InstanceRecord &record) { take(record, true); }
  /// True when a wake has brought this very record already: the watch's need not be read.
  bool hasFromWake(std::string_view handle, std::uint64_t rev) const;
  /// Is told of each address that is no longer that instance's: it was deleted, or listens elsewhere, or the epoch is
  /// another one. One that only stops keeps its own. Called on the thread of apply(); an empty function: nobody is
  /// told.
  using Retired = std::function<void(const http::Upstream::Candidate &)>;
  void onRetired(Retired retired);
  /// Everything that exists has been applied. Before that an unknown handle may only be unknown yet.
  void synced() noexcept { synced_.store(true, std::memory_order_release); }
  bool isSynced() const noexcept { return synced_.load(std::memory_order_acquire); }
  std::size_t size() const;

private:
  friend class RouteCache;
  struct Slot {
    std::atomic<std::uint64_t> generation{0};
    mutable std::mutex mutex;
    std::shared_ptr<const Shard> shard = std::make_shared<Shard>();
  };

  using Candidates = std::vector<http::Upstream::Candidate>;
  void take(const InstanceRecord &record, bool fromWake);
  static std::size_t shardOf(std::string_view handle) noexcept;
  std::shared_ptr<const InstanceRoute> makeRoute(const InstanceRecord &record, const InstanceRoute *before,
                                                 bool fromWake);
  std::shared_ptr<const http::Upstream> makeUpstream(const InstanceRecord &record, std::string_view name,
                                                     const std::shared_ptr<const http::Upstream> &known);
  void tellRetired(const Candidates &gone);

  std::array<Slot, kShards> slots_;
  std::mutex retiredMutex_;
  Retired retired_;
  std::atomic<bool> synced_{false};
  std::atomic<std::uint64_t> lastKey_{0};
};

/// A reader's view, for one thread: compares one number per look-up and takes a lock only after a change.
class RouteCache {
public:
  explicit RouteCache(const RouteTable &table) : table_(table) {}
  std::shared_ptr<const InstanceRoute> find(const std::string &handle);

private:
  struct Entry {
    std::uint64_t generation = UINT64_MAX;
    std::shared_ptr<const RouteTable::Shard> shard;
  };
  const RouteTable &table_;
  std::array<Entry, RouteTable::kShards> entries_;
};

} // namespace matrixos::proxy
