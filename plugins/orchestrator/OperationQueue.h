/// One operation at a time per instance, a bounded number in all.
#pragma once

#include "Operation.h"
#include "Settings.h"
#include "Strand.h"
#include "Telemetry.h"

#include <matrixos/host.hpp>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

namespace matrixos::orchestrator {

/// Runs operations on the host's executor, first come first served between instances, in order within one. What
/// somebody waits for goes before what the platform does of itself, however much of that there is. Callers who want
/// what is already queued or running share it. Any thread; submit() does not block.
class OperationQueue {
public:
  OperationQueue(Executor executor, Strand &strand, const SettingsCell &settings, Telemetry &telemetry)
      : executor_(executor), strand_(strand), settings_(settings), telemetry_(telemetry) {}

  /// `done` hears the result, or Error(DeadlineExceeded) once `deadlineNanos` (CLOCK_MONOTONIC) has passed; the work
  /// goes on regardless. Throws Error(ResourceExhausted) when too much of this kind waits, Error(Unavailable) while
  /// stopping.
  void submit(const OperationPtr &operation, Done done, std::int64_t deadlineNanos);
  /// The same without anybody waiting, and only if nothing is queued for the handle. False: it was not taken.
  bool submitIfIdle(const OperationPtr &operation) noexcept;

  /// The same, after whatever is queued or running for the handle; only the last one given meanwhile.
  void submitAfter(const OperationPtr &operation) noexcept;

  /// A parked operation goes on.
  void resume(const OperationPtr &operation);
  /// What is parked for this handle gives up.
  void abandonParked(const std::string &handle);

  /// True when an operation of this kind waits behind the running one.
  bool isQueued(const std::string &handle, Operation::Kind kind) const;
  bool isIdle(const std::string &handle) const;
  std::size_t size() const;

  /// Takes nothing more and gives up what has not begun or is parked. Running operations go on.
  void close();
  /// Waits until none runs; false when time is up first.
  bool waitIdle(std::chrono::milliseconds timeout);

private:
  struct Waiter {
    std::uint64_t id;
    Done done;
    bool first; ///< whose request made the operation
  };
  struct Entry {
    OperationPtr operation;
    std::list<Waiter> waiters;
    Strand::Clock::time_point since = Strand::Clock::now();
    bool wanted = false; ///< submitted by somebody, not by the platform itself
    bool ready = false;  ///< at the front of its lane, and neither running nor parked
    bool running = false;
    bool parked = false;
    bool resumed = false; ///< before it was seen to be parked
  };
  using Lane = std::deque<Entry>; ///< the front one runs or is next
  class Pump;

  void enqueue(const OperationPtr &operation, bool wanted);
  void makeReady(Lane &lane);
  Entry *takeReady();
  void addWaiter(Entry &entry, Done done, std::int64_t deadlineNanos);
  void expire(const std::string &handle, std::uint64_t waiter);
  void pump();
  void runLoop(const std::shared_ptr<Pump> &pump);
  bool runNext(Pump &pump);
  void settle(const OperationPtr &operation, Operation::State state);
  void finish(Entry entry);
  void pumpEnded();
  static void answer(const std::list<Waiter> &waiters, const Result &result);

  static constexpr std::size_t kMaxPerLane = 16;

  Executor executor_;
  Strand &strand_;
  const SettingsCell &settings_;
  Telemetry &telemetry_;
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::unordered_map<std::string, Lane> lanes_;
  // Handles whose front operation may run; one that has become wanted meanwhile is in both.
  std::deque<std::string> wantedReady_;
  std::deque<std::string> otherReady_;
  std::unordered_map<std::string, OperationPtr> afterwards_; ///< by handle: what follows when its lane is empty
  std::size_t size_ = 0;
  std::size_t wanted_ = 0;
  std::size_t pumps_ = 0; ///< tasks given to the executor
  std::uint64_t nextWaiter_ = 1;
  bool closed_ = false;
};

} // namespace matrixos::orchestrator
