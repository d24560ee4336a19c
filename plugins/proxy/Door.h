/// Door.h: those who waited for an instance go in a few at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <utility>

namespace matrixos::proxy {

/// An instance that has just begun to listen may have a very short queue: connections beyond it seem to stand, and are
/// lost half a minute later. So of all that waited only a few are in at a time, and each that is answered lets the next
/// one in. Thread-safe.
class Door {
public:
  using Clock = std::chrono::steady_clock;
  using Enter = std::function<void()>;
  /// The shortest queue in use is that of Python's servers: five, and one that is being answered.
  static constexpr std::size_t kAtOnce = 6;
  /// One at a time is no loss where answers are quick; where they are slow, waiting for each other would be.
  static constexpr std::chrono::milliseconds kPatience{250};

  /// When nobody inside was answered for `patience` they take their time, and those outside do not wait for them.
  explicit Door(std::chrono::milliseconds patience = kPatience) : patience_(patience) {}

  /// True: `who` is in. False: `enter` is called, on any thread, when it is let in.
  bool knock(const void *who, Enter enter);
  /// Lets `who`, whom nobody has let in, in after all if the others take their time; else gives how long to wait more.
  std::chrono::milliseconds knockAgain(const void *who);
  /// It has been answered, or no longer waits. Of somebody unknown nothing is done.
  void leave(const void *who) noexcept;

private:
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::set<const void *> inside_;
  std::deque<std::pair<const void *, Enter>> outside_;
  Clock::time_point moved_{}; // when somebody was answered
};

} // namespace matrixos::proxy
