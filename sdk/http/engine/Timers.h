/// http/engine/Timers.h: coarse timers of one loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace matrixos::http {

class TimerWheel;

/// Something with a deadline. It takes itself out of the wheel when it is destroyed.
class Timer {
public:
  Timer() noexcept = default;
  Timer(const Timer &) = delete;
  Timer &operator=(const Timer &) = delete;
  virtual ~Timer();

  /// The deadline has passed, up to one tick ago. The timer is no longer set.
  virtual void onTimer() = 0;

  bool isSet() const noexcept { return next_ != nullptr; }
  /// On the clock of Loop::nowMs(); meaningless unless set.
  std::int64_t deadlineMs() const noexcept { return deadlineMs_; }

private:
  friend class TimerWheel;
  void unlink() noexcept;

  Timer *prev_ = nullptr;
  Timer *next_ = nullptr;
  TimerWheel *wheel_ = nullptr;
  std::int64_t deadlineMs_ = 0;
};

/// A hashed wheel: set and cancel are a few pointer writes, precision is one tick. One loop, one thread.
class TimerWheel {
public:
  static constexpr std::int64_t kTickMs = 20;

  TimerWheel() noexcept;
  TimerWheel(const TimerWheel &) = delete;
  TimerWheel &operator=(const TimerWheel &) = delete;

  void set(Timer &timer, std::int64_t deadlineMs) noexcept;
  void cancel(Timer &timer) noexcept { timer.unlink(); }
  /// Fires what is due.
  void advance(std::int64_t nowMs);
  bool empty() const noexcept { return count_ == 0; }
  /// When to advance next: nothing fires before. Perhaps nothing does then either, for a timer that was cancelled.
  std::int64_t nextMs() const noexcept { return count_ == 0 ? INT64_MAX : soonest_ * kTickMs; }

private:
  friend class Timer;
  static constexpr std::size_t kSlots = 1024;

  struct Anchor final : Timer {
    void onTimer() override {}
  };

  void findSoonest() noexcept;

  std::array<Anchor, kSlots> slots_;
  std::int64_t tick_ = 0;            // the last one that was processed
  std::int64_t soonest_ = INT64_MAX; // no timer is due at a tick before this one
  std::size_t count_ = 0;
};

} // namespace matrixos::http
