/// StartupThrottle.h: requests that waited for an instance go to it a few at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <utility>

namespace matrixos::proxy {

/// Bounds how many of the requests that waited for one instance are in it at once. An instance that has just begun to
/// listen may have a very short queue: connections beyond it seem to stand, and are lost half a minute later. So only a
/// few requests are inside, and each that is answered lets the next one enter. Thread-safe.
class StartupThrottle {
public:
  using Clock = std::chrono::steady_clock;
  using Admitted = std::function<void()>;
  /// The shortest queue in use is that of Python's servers: five, and one that is being answered.
  static constexpr std::size_t kAtOnce = 6;
  /// One at a time is no loss where answers are quick; where they are slow, waiting for each other would be.
  static constexpr std::chrono::milliseconds kPatience{250};

  /// When no request inside was answered for `patience` they take their time, and those outside do not wait for them.
  explicit StartupThrottle(std::chrono::milliseconds patience = kPatience) : patience_(patience) {}

  /// True: `request` is inside. False: `admitted` is called, on any thread, when it may enter.
  bool enter(const void *request, Admitted admitted);
  /// Lets `request`, which has not been admitted, in after all if the others take their time; else gives how long to
  /// wait more.
  std::chrono::milliseconds enterAnyway(const void *request);
  /// It has been answered, or no longer waits. Does nothing for an unknown one.
  void leave(const void *request) noexcept;

private:
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::set<const void *> inside_;
  std::deque<std::pair<const void *, Admitted>> outside_;
  Clock::time_point moved_{}; // when one was answered
};

} // namespace matrixos::proxy
