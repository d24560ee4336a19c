#pragma once

#include "InstanceIndex.h"
#include "Surroundings.h"

#include <matrixos/call.hpp>
#include <matrixos/wake_answer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace matrixos::lifecycle {

/// The addresses of one endpoint, those inside the machine first: a published port may be answered by a userland proxy
/// long before the instance listens.
std::vector<Target> targetsOf(const InstanceRecord &record, std::string_view endpoint);

/// Lets any number of callers wait for one instance to run and to answer HTTP, and starts it once for all of them.
/// That an instance answered before says nothing about now: who asks about one that runs has been refused by it, so it
/// is probed anew. Nothing blocks: answers come through completions, deadlines through expire(), which the prober's
/// thread calls. What the orchestrator's watch brings is all it needs to know of an instance that has to be started:
/// the record is neither fetched nor taken from the start's answer. One that runs already is fetched by the first
/// caller. Completions are called without any lock held. Thread-safe. Make it with std::make_shared: the orchestrator's
/// answers that come after its end find nobody and are dropped.
class WakeCoordinator : public std::enable_shared_from_this<WakeCoordinator> {
public:
  struct Settings {
    std::chrono::milliseconds readyTimeout{std::chrono::seconds(60)}; ///< from running to the first HTTP answer
    std::size_t maxWaiters = 20'000;
  };
  enum class Event { Woken, StartFailed, WaiterExpired };
  /// Hears of each wake's end once (phases are set when it succeeded), and of each waiter that ran out of time.
  using Observer = std::function<void(Event event, const WakePhases &phases)>;

  /// References are borrowed. `index` has taken in each record before changed() is called with it.
  WakeCoordinator(const Clock &clock, const InstanceIndex &index, Platform &platform, Prober &prober, Settings settings,
                  Observer observer);

  /// Gives the ticket, 0 when `done` was answered at once. `deadlineNanos` is on CLOCK_MONOTONIC or MOS_NO_DEADLINE.
  /// Throws matrixos::Error, and then leaves `done` alone: NotFound, InvalidArgument (endpoint), DeadlineExceeded,
  /// ResourceExhausted (too many waiters), Unavailable (shut down).
  std::uint64_t ensure(std::string_view handle, std::string_view endpoint, std::int64_t deadlineNanos,
                       Completion &done);
  /// The caller no longer waits. A ticket that was answered is ignored.
  void forget(std::uint64_t ticket);
  /// A newer record, from the orchestrator's watch, with its JSON.
  void changed(const InstanceRecord &record, std::string_view json);
  /// Answers those whose time is over; gives the next deadline or MOS_NO_DEADLINE.
  std::int64_t expire();
  /// Answers everybody with Unavailable and refuses from now on.
  void shutdown();
  void configure(Settings settings);
  std::size_t waiters() const;

private:
  enum class Stage { Starting, Probing };
  /// One endpoint of a wake, as long as somebody waits for it.
  struct Slot {
    std::set<std::uint64_t> tickets;
    std::uint64_t probeId = 0; ///< 0: not probed now
    std::vector<Target> targets;
    std::int64_t readyByNanos = MOS_NO_DEADLINE;
  };
  /// One instance that is being woken.
  struct Wake {
    std::uint64_t id = 0;
    Stage stage = Stage::Starting;
    unsigned starts = 0;
    unsigned ends = 0;     ///< how often it has ended since the caller asked
    std::string epoch;     ///< of the last addresses it had
    InstanceRecord record; ///< the latest; handle, rev and status alone until the watch has brought one
    std::string json;      ///< its text
    std::int64_t askedNanos = 0;
    std::int64_t engineNanos = 0;  ///< 0: not reported
    std::int64_t runningNanos = 0; ///< 0: not yet
    bool startDue = false;
    bool reported = false;
    std::map<std::string, Slot, std::less<>> slots; ///< by endpoint
  };
  struct Waiter {
    std::string handle;
    std::string endpoint;
    std::int64_t deadlineNanos;
    Completion done;
  };
  /// An answer to give once the lock is open.
  struct Delivery {
    Completion done;
    std::optional<Error> error; ///< else success
  };
  using Deliveries = std::vector<Delivery>;
  using Wakes = StringMap<Wake>;

  void startEngine(const std::string &handle, std::uint64_t wakeId);
  void startFailed(const std::string &handle, std::uint64_t wakeId, const Error &cause);
  void answered(const std::string &handle, std::uint64_t wakeId, const std::string &endpoint, std::uint64_t probeId);

  // All of these expect the lock.
  bool knowsNewer(const InstanceRecord &record) const;
  Wake *findOrBegin(std::string_view handle);
  Wake &begin(InstanceRecord record, std::string json);
  void requireRoom() const;
  std::uint64_t addWaiter(Wake &wake, std::string_view handle, std::string_view endpoint, std::int64_t deadlineNanos,
                          Completion &done);
  Completion takeWaiter(Wake &wake, std::uint64_t ticket);
  void setDeadline(std::uint64_t ticket, std::int64_t deadlineNanos);
  void probeAll(Wake &wake);
  void probe(Wake &wake, const std::string &endpoint, Slot &slot);
  void cancelProbe(Slot &slot);
  void failAll(Wakes::iterator wake, const Error &error, Deliveries &out);
  bool restart(Wake &wake);
  static bool beganAnew(Wake &wake);
  WakePhases phases(const Wake &wake) const;

  static void deliver(Deliveries &&deliveries, std::string_view json = {});

  const Clock &clock_;
  const InstanceIndex &index_;
  Platform &platform_;
  Prober &prober_;
  const Observer observer_;

  mutable std::mutex mutex_;
  Settings settings_;
  bool shutDown_ = false;
  std::uint64_t lastId_ = 0;
  Wakes wakes_;
  std::unordered_map<std::uint64_t, Waiter> waiters_;
  std::set<std::pair<std::int64_t, std::uint64_t>> deadlines_; ///< (deadline, ticket)
};

} // namespace matrixos::lifecycle
