#include "plugin/OutboxDelivery.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace matrixos::plugin {

using std::chrono::milliseconds;

OutboxDelivery::OutboxDelivery(Parts parts, OutboxLimits limits) : parts_(std::move(parts)), limits_(limits) {}

void OutboxDelivery::wake() {
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return;
    again_ = true;
    if (std::exchange(pumping_, true)) return;
  }
  const auto idle = [self = shared_from_this()] {
    const std::lock_guard lock(self->mutex_);
    self->pumping_ = false;
    self->left_.notify_all();
  };
  try {
    parts_.executor.submit(
        parts_.owner, [self = shared_from_this()] { self->pump(); }, idle);
  } catch (const Error &) { // its queue is full, or it ends
    idle();
    wakeIn(limits_.firstPause);
  }
}

void OutboxDelivery::wakeIn(milliseconds pause) {
  const Clock::time_point at = Clock::now() + pause;
  const std::lock_guard lock(mutex_);
  if (!open_ || wakeAt_ <= at) return;
  try {
    parts_.timers.schedule(parts_.owner, pause, milliseconds{0}, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      {
        const std::lock_guard fired(self->mutex_);
        self->wakeAt_ = Clock::time_point::max();
      }
      self->wake();
    });
    wakeAt_ = at;
  } catch (const Error &) { // it ends
  }
}

void OutboxDelivery::pump() {
  milliseconds pause{0};
  for (bool more = true; more;) {
    std::size_t most = 0;
    {
      const std::lock_guard lock(mutex_);
      again_ = false;
      ended_.clear();
      most = limits_.atOnce + underWay_.size() + notBefore_.size() + 1;
    }
    try {
      pause = milliseconds{0};
      for (const Stored &item : parts_.store.heads(parts_.access(), most)) {
        const milliseconds left{item.dueMs - parts_.timers.wallClockMs()};
        // A clock that was set back makes the wait longer than any pause that was meant.
        const bool due = left.count() <= 0 || left > 2 * limits_.longestPause;
        const std::lock_guard lock(mutex_);
        if (!open_ || underWay_.size() >= limits_.atOnce) break;
        // What has ended meanwhile is not as it was when it was read; the next look finds it.
        if (underWay_.count(item.target) != 0 || ended_.count(item.target) != 0) continue;
        const auto held = notBefore_.find(item.target);
        const auto now = Clock::now();
        if (due && (held == notBefore_.end() || held->second <= now)) {
          if (held != notBefore_.end()) notBefore_.erase(held);
          underWay_.insert(item.target);
          begin(item);
          continue;
        }
        const milliseconds wait =
            due ? std::chrono::duration_cast<milliseconds>(held->second - now) + milliseconds{1} : left;
        pause = pause.count() == 0 ? wait : std::min(pause, wait);
      }
    } catch (const Error &e) {
      parts_.onResult("failed", e.what());
      pause = limits_.firstPause;
    }
    const std::lock_guard lock(mutex_);
    more = open_ && again_;
    if (!more) pumping_ = false;
    left_.notify_all();
  }
  if (pause.count() > 0) wakeIn(pause);
}

/// Under the lock.
void OutboxDelivery::begin(const Stored &item) {
  const auto self = shared_from_this();
  try {
    parts_.executor.submit(
        parts_.owner, [self, item] { self->deliver(item); },
        [self, target = item.target] { self->finish(target, milliseconds{0}); });
  } catch (const Error &) { // its queue is full, or it ends
    underWay_.erase(item.target);
    notBefore_[item.target] = Clock::now() + limits_.firstPause;
    again_ = true;
  }
}

void OutboxDelivery::deliver(const Stored &item) {
  const auto call = std::make_shared<common::CallContext>(limits_.attemptTime);
  bool goes = false;
  {
    const std::lock_guard lock(mutex_);
    goes = open_ && calls_.insert(call).second;
  }
  milliseconds pause{0};
  if (goes) pause = record(item, parts_.deliver(call->abi(), item));
  {
    const std::lock_guard lock(mutex_);
    calls_.erase(call);
  }
  finish(item.target, pause);
}

milliseconds OutboxDelivery::record(Stored item, const Outcome &outcome) {
  const char *result = outcome.verdict == Verdict::Done ? "done" : "drop";
  ++item.attempts;
  try {
    if (outcome.verdict != Verdict::Retry) {
      parts_.store.remove(parts_.access(), item.number);
    } else {
      const std::int64_t now = parts_.timers.wallClockMs();
      item.parked = item.attempts >= limits_.mostAttempts || now - item.createdMs >= limits_.mostAge.count();
      const milliseconds wanted = outcome.retryAfter.count() > 0 ? std::min(outcome.retryAfter, limits_.longestPause)
                                                                 : pauseAfter(item.attempts);
      item.dueMs = now + std::max(wanted, limits_.firstPause).count();
      item.lastError = outcome.error;
      parts_.store.postpone(parts_.access(), item);
      result = item.parked ? "parked" : "retry";
    }
    parts_.onResult(result, "");
    return milliseconds{0};
  } catch (const Error &e) {
    // It will be delivered once more; not at once and again, while the disk is full.
    parts_.onResult("failed", e.what());
    return std::max(pauseAfter(item.attempts), limits_.firstPause);
  }
}

milliseconds OutboxDelivery::pauseAfter(std::uint32_t attempts) {
  milliseconds pause = limits_.firstPause;
  for (std::uint32_t i = 1; i < attempts && pause < limits_.longestPause; ++i)
    pause *= 2;
  const std::lock_guard lock(mutex_);
  const int percent = std::uniform_int_distribution<int>{80, 120}(random_);
  return std::min(pause * percent / 100, limits_.longestPause);
}

void OutboxDelivery::finish(const std::string &target, milliseconds pause) {
  {
    const std::lock_guard lock(mutex_);
    underWay_.erase(target);
    ended_.insert(target);
    if (pause.count() > 0) notBefore_[target] = Clock::now() + pause;
    left_.notify_all();
  }
  wake();
}

void OutboxDelivery::close() {
  const std::lock_guard lock(mutex_);
  open_ = false;
  for (const auto &call : calls_)
    call->cancel();
}

bool OutboxDelivery::drain(milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return left_.wait_for(lock, timeout, [&] { return underWay_.empty() && !pumping_; });
}

} // namespace matrixos::plugin
