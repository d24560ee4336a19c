#include "support/FakeTimers.h"

#include <matrixos/status.hpp>

#include <chrono>
#include <condition_variable>
#include <thread>

namespace matrixos::test {

/// Calls back after `delayMs`, then every `periodMs`, or never again when that is 0.
class FakeTimers::Timer {
public:
  Timer(std::int64_t delayMs, std::int64_t periodMs, void (*fire)(void *), void *ctx)
      : thread_([this, delayMs, periodMs, fire, ctx] {
          std::unique_lock lock(mutex_);
          std::int64_t next = delayMs;
          while (!changed_.wait_for(lock, std::chrono::milliseconds(next), [this] { return cancelled_; })) {
            lock.unlock();
            fire(ctx);
            lock.lock();
            if (periodMs == 0) return;
            next = periodMs;
          }
        }) {}
  ~Timer() {
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool cancelled_ = false;
  std::thread thread_;
};

FakeTimers::FakeTimers() {
  table_ = {sizeof table_, MOS_HOST_MINOR, this, nullptr, nullptr};
  table_.schedule = [](void *self, std::int64_t delay, std::int64_t period, void (*fire)(void *), void *ctx,
                       std::uint64_t *out, mos_error *error) {
    return guarded(error, [&] {
      auto &timers = *static_cast<FakeTimers *>(self);
      const std::lock_guard lock(timers.mutex_);
      *out = ++timers.last_;
      timers.timers_[*out] = std::make_unique<Timer>(delay, period, fire, ctx);
    });
  };
  table_.cancel = [](void *self, std::uint64_t handle, mos_error *error) -> mos_status {
    auto &timers = *static_cast<FakeTimers *>(self);
    std::unique_ptr<Timer> ended; // joined without the lock
    const std::lock_guard lock(timers.mutex_);
    const auto found = timers.timers_.find(handle);
    if (found == timers.timers_.end()) return fail(error, Status::NotFound, "no such timer");
    ended = std::move(found->second);
    timers.timers_.erase(found);
    return MOS_OK;
  };
}

FakeTimers::~FakeTimers() = default;

std::size_t FakeTimers::count() const {
  const std::lock_guard lock(mutex_);
  return timers_.size();
}

} // namespace matrixos::test
