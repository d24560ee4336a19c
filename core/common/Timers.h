/// Delayed and periodic work on CLOCK_MONOTONIC.
#pragma once

#include "common/Executor.h"
#include "common/Owner.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace matrixos::common {

/// Runs callbacks on an Executor, which has to outlive it. One thread does the waiting. All functions are thread-safe.
/// A run of a timer that is still going, or still waits for a thread, is not started a second time; what it missed is
/// not made up for: the next run comes at the next multiple of the period.
class Timers {
public:
  using Callback = std::function<void()>;
  /// Stands for one timer; never reused, so a stale one is always noticed. Never 0.
  using Handle = std::uint64_t;

  explicit Timers(Executor &executor);
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

private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

} // namespace matrixos::common
