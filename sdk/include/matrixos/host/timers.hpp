/// matrixos/host/timers.hpp: what the plugin does again and again, abi/host.h mos_host_timers_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/failures.hpp>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// Timers of the plugin; all end with the object.
class Timers {
public:
  explicit Timers(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_timers_v1>(host, MOS_HOST_TIMERS_1)), failures_(host, "a timer") {}
  Timers(const Timers &) = delete;
  Timers &operator=(const Timers &) = delete;
  ~Timers() { cancelAll(); }

  /// Runs `fire` every `period`, first after `period`; what it throws is logged. Not thread-safe against itself; call
  /// it from start().
  void every(std::chrono::milliseconds period, std::function<void()> fire) {
    Timer &timer = timers_.emplace_back();
    timer.fire = std::move(fire);
    timer.failures = &failures_;
    try {
      check([&](mos_error *e) {
        return table_->schedule(
            table_->self, period.count(), period.count(),
            [](void *ctx) {
              const auto *self = static_cast<Timer *>(ctx);
              self->failures->run([&] { self->fire(); });
            },
            &timer, &timer.handle, e);
      });
    } catch (...) {
      timers_.pop_back();
      throw;
    }
  }
  /// Waits for running callbacks.
  void cancelAll() noexcept {
    for (Timer &timer : timers_)
      table_->cancel(table_->self, timer.handle, nullptr);
    timers_.clear();
  }

private:
  struct Timer {
    std::function<void()> fire;
    detail::CallbackFailures *failures = nullptr;
    std::uint64_t handle = 0;
  };

  const mos_host_timers_v1 *table_;
  detail::CallbackFailures failures_;
  std::list<Timer> timers_;
};

} // namespace v1
} // namespace matrixos
