#pragma once

#include "http/Exchange.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace matrixos::api {

/// Exchanges by number. A number is a slot and its generation, so that one from the past is recognised and never
/// reaches another exchange. Also counts which owners' handlers workers are busy with. Any thread.
class ExchangeTable {
public:
  /// Numbers the exchange and keeps it until forget().
  void add(const std::shared_ptr<Exchange> &exchange);

  /// The exchange behind a number, or null when it is stale.
  std::shared_ptr<Exchange> find(std::uint64_t id) const;

  /// Makes the number stale. Text that was borrowed from the exchange dies with the last reference to it.
  void forget(std::uint64_t id);

  /// Keeps an exchange that nobody waits for until its handler answers after all, because the handler may still be
  /// reading what it borrowed; at most for ten minutes.
  void abandon(std::uint64_t id);

  /// How many workers may be busy for owners other than the daemon; 0: no limit.
  struct Limits {
    int perOwner = 0;
    int all = 0;
  };
  /// Before the first enter().
  void limit(const Limits &limits) { limits_ = limits; }

  /// A worker starts or ends its work for an owner's route. False when the owner was at its limit until `deadline`.
  bool enter(OwnerId owner, Clock::time_point deadline);
  void exit(OwnerId owner);

  /// Cancels the open exchanges of an owner, or of all.
  void cancel(const OwnerId *owner, const Problem &problem);

  /// Waits until no worker is busy for the owner; false when the deadline came first.
  bool waitIdle(OwnerId owner, Clock::time_point deadline);

  /// Forgets what abandon() kept of an owner.
  void purge(OwnerId owner);

  /// Exchanges that have a number.
  std::size_t size() const;

private:
  struct Slot {
    std::uint32_t generation = 1;
    std::shared_ptr<Exchange> exchange;
  };
  struct Abandoned {
    Clock::time_point since;
    std::uint64_t id;
  };

  Slot *slotOf(std::uint64_t id);
  std::shared_ptr<Exchange> release(std::uint64_t id);

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::deque<Abandoned> abandoned_;
  bool mayEnter(OwnerId owner) const;

  Limits limits_;
  std::map<OwnerId, std::size_t> busy_;
  std::size_t busyForOwners_ = 0; ///< all but the daemon's own
  std::set<OwnerId> stuck_;       ///< somebody waited in vain for them since anything ended
  std::size_t used_ = 0;
};

} // namespace matrixos::api
