/// Delayed and periodic work on CLOCK_MONOTONIC, or on a time that a test moves.
#pragma once

#include "common/Executor.h"
#include "common/Owner.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace matrixos::common {

/// Runs callbacks on an Executor, which has to outlive it. One thread does the waiting. All functions are thread-safe.
/// A run of a timer that is still going, or still waits for a thread, is not started a second time; what it missed is
/// not made up for: the next run comes at the next multiple of the period.
class Timers {
public:
  using Callback = std::function<void()>;
  /// Stands for one timer; never reused, so a stale one is always noticed. Never 0.
  using Handle = std::uint64_t;

  /// Time that stands still until advance(), for tests of plugins.
  struct ManualTime {
    std::chrono::milliseconds advanced{0}; ///< before, in an earlier life
  };

  explicit Timers(Executor &executor, std::optional<ManualTime> time = {});
  /// Cancels all timers; waits for callbacks that run.
  ~Timers();
  Timers(const Timers &) = delete;
  Timers &operator=(const Timers &) = delete;

  /// Calls `fire` after `delay` and then every `period` (0: once). [loop] Throws Error(InvalidArgument) for negative
  /// times. When the owner's queue on the executor is full a due run waits for room.
  Handle schedule(Owner owner, std::chrono::milliseconds delay, std::chrono::milliseconds period, Callback fire);

  /// After it returns the callback neither runs nor will run, unless called from inside it. Throws Error(NotFound) for
  /// a timer that was cancelled or, being no periodic one, has run.
  void cancel(Handle handle);
  /// The same, but only a timer of this owner; another's is NotFound.
  void cancel(Owner owner, Handle handle);

  /// Cancels all timers of the owner; nothing of them starts any more. False when one still ran after `timeout`.
  bool sweep(Owner owner, std::chrono::nanoseconds timeout);

  /// Timers that exist.
  std::size_t size() const;

  /// Lets manual time go on by so much: what comes due on the way runs in its order, at its time, and has returned when
  /// this returns. False when something still runs after `patience`; then time has stopped there. Throws
  /// Error(FailedPrecondition) when time is not manual.
  bool advance(std::chrono::milliseconds by, std::chrono::nanoseconds patience);
  /// The wall clock in milliseconds since the epoch; with manual time as much later as that was advanced.
  std::int64_t wallClockMs() const;

private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

} // namespace matrixos::common
