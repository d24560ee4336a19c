#pragma once

#include <cstdint>
#include <ctime>

namespace matrixos::lifecycle {

/// The clocks that decisions are made on; tests bring their own. Thread-safe.
class Clock {
public:
  virtual ~Clock() = default;
  /// CLOCK_BOOTTIME in milliseconds: goes on while the machine is suspended, unmoved by changes of the date. Idleness.
  virtual std::int64_t bootMs() const noexcept = 0;
  /// CLOCK_MONOTONIC in nanoseconds, the clock of deadlines.
  virtual std::int64_t monotonicNanos() const noexcept = 0;
};

/// The kernel's clocks.
class SystemClock final : public Clock {
public:
  std::int64_t bootMs() const noexcept override { return nanos(CLOCK_BOOTTIME) / 1'000'000; }
  std::int64_t monotonicNanos() const noexcept override { return nanos(CLOCK_MONOTONIC); }

private:
  static std::int64_t nanos(clockid_t id) noexcept {
    timespec now{};
    ::clock_gettime(id, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  }
};

} // namespace matrixos::lifecycle
