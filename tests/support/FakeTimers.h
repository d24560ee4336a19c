#pragma once

#include <matrixos/abi/host.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace matrixos::test {

/// The timers of a FakeHost: a thread for each. Any thread; a callback may cancel timers other than its own.
class FakeTimers {
public:
  FakeTimers();
  ~FakeTimers();
  FakeTimers(const FakeTimers &) = delete;
  FakeTimers &operator=(const FakeTimers &) = delete;

  const mos_host_timers_v1 *table() const noexcept { return &table_; }
  /// How many were scheduled and are not cancelled.
  std::size_t count() const;

private:
  class Timer;

  mos_host_timers_v1 table_{};
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::unique_ptr<Timer>> timers_;
  std::uint64_t last_ = 0;
};

} // namespace matrixos::test
