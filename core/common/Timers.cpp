#include "common/Timers.h"

#include <matrixos/text/time.hpp>

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace matrixos::common {
namespace {

using Clock = std::chrono::steady_clock; // CLOCK_MONOTONIC in libstdc++ and libc++

/// How long a due timer waits when the executor has no room for it.
constexpr std::chrono::milliseconds kRetry{10};
/// Longer times are cut to this, far beyond any uptime, so that sums cannot overflow.
constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365 * 50);

} // namespace

/// Shared with the runs that wait on the executor, which may outlive the Timers.
class Timers::Impl : public std::enable_shared_from_this<Impl> {
public:
  Impl(Executor &executor, std::optional<ManualTime> manual)
      : executor_(executor), isManual_(manual.has_value()), advanced_(manual.value_or(ManualTime{}).advanced),
        begin_(Clock::now() - advanced_) {}

  void begin() {
    thread_ = std::thread([this] { wait(); });
  }
  void end();
  Handle schedule(Owner owner, std::chrono::milliseconds delay, std::chrono::milliseconds period, Callback &&fire);
  void cancel(const Owner *owner, Handle handle);
  bool sweep(const Owner *owner, std::optional<std::chrono::nanoseconds> timeout);
  std::size_t size() const;
  bool advance(std::chrono::milliseconds by, std::chrono::nanoseconds patience);
  std::int64_t wallClockMs() const;

private:
  struct Timer {
    Owner owner = 0;
    std::shared_ptr<const Callback> fire;
    std::chrono::milliseconds period{};
    Clock::time_point due;
    bool queued = false; ///< a run waits on the executor
    bool running = false;
    bool cancelled = false;
    std::thread::id runner;
  };
  using Timers = std::unordered_map<Handle, Timer>;
  /// Callbacks to destroy once the lock is released, since their destructors are foreign code.
  using Garbage = std::vector<std::shared_ptr<const Callback>>;

  /// With the lock held.
  Clock::time_point now() const { return isManual_ ? begin_ + advanced_ : Clock::now(); }
  void wait();
  std::vector<std::pair<Handle, Owner>> takeDue(Clock::time_point now);
  void submit(Handle handle, Owner owner);
  void run(Handle handle);
  void retry(Handle handle);
  void dropped(Handle handle);
  void settle(Timers::iterator at, Garbage &garbage);
  void markCancelled(Timers::iterator at);

  Executor &executor_;
  const bool isManual_;
  Clock::duration advanced_; ///< manual time
  const Clock::time_point begin_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  Timers timers_;
  std::set<std::pair<Clock::time_point, Handle>> queue_;
  Handle last_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

Timers::Handle Timers::Impl::schedule(Owner owner, std::chrono::milliseconds delay, std::chrono::milliseconds period,
                                      Callback &&fire) {
  if (delay.count() < 0 || period.count() < 0) {
    throw Error(Status::InvalidArgument, "a timer's delay and period cannot be negative");
  }
  auto callback = std::make_shared<const Callback>(std::move(fire));
  const std::lock_guard lock(mutex_);
  if (stopping_) throw Error(Status::Unavailable, "the timers have stopped");
  const Handle handle = ++last_;
  Timer &timer = timers_[handle];
  timer.owner = owner;
  timer.fire = std::move(callback);
  timer.period = std::min(period, kLongest);
  timer.due = now() + std::min(delay, kLongest);
  const auto [at, inserted] = queue_.emplace(timer.due, handle);
  if (at == queue_.begin()) wake_.notify_one();
  return handle;
}

void Timers::Impl::wait() {
  ::pthread_setname_np(::pthread_self(), "timers");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto next = queue_.begin()->first;
    if (Clock::now() < next) {
      wake_.wait_until(lock, next);
      continue;
    }
    const auto due = takeDue(Clock::now());
    lock.unlock();
    for (const auto &[handle, owner] : due)
      submit(handle, owner);
    lock.lock();
  }
}

/// Takes the timers that have to run now and queues the next turn of periodic ones.
std::vector<std::pair<Timers::Handle, Owner>> Timers::Impl::takeDue(Clock::time_point now) {
  std::vector<std::pair<Handle, Owner>> due;
  while (!queue_.empty() && queue_.begin()->first <= now) {
    const Handle handle = queue_.begin()->second;
    queue_.erase(queue_.begin());
    Timer &timer = timers_.at(handle);
    if (timer.period.count() > 0) {
      // The next turn on the grid that lies in the future: missed turns are skipped.
      timer.due += timer.period * ((now - timer.due) / timer.period + 1);
      queue_.emplace(timer.due, handle);
    }
    if (timer.queued || timer.running) continue;
    timer.queued = true;
    due.emplace_back(handle, timer.owner);
  }
  return due;
}

void Timers::Impl::submit(Handle handle, Owner owner) {
  try {
    auto self = shared_from_this();
    executor_.submit(
        owner, [self, handle] { self->run(handle); }, [self, handle] { self->dropped(handle); });
  } catch (const Error &e) {
    if (e.status() == Status::Unavailable)
      dropped(handle);
    else
      retry(handle);
  } catch (...) {
    retry(handle);
  }
}

/// The executor had no room: the run stays due.
void Timers::Impl::retry(Handle handle) {
  Garbage garbage;
  const std::lock_guard lock(mutex_);
  const auto at = timers_.find(handle);
  if (at == timers_.end()) return;
  Timer &timer = at->second;
  timer.queued = false;
  if (timer.cancelled || stopping_) return settle(at, garbage);
  queue_.erase({timer.due, handle});
  const auto soon = now() + kRetry;
  // The later turns of a periodic timer count from this retry.
  if (timer.period.count() == 0 || soon < timer.due) timer.due = soon;
  queue_.emplace(timer.due, handle);
  idle_.notify_all();
}

/// The executor let go of the run, since the owner or the executor stops: the timer will not run again.
void Timers::Impl::dropped(Handle handle) {
  Garbage garbage;
  const std::lock_guard lock(mutex_);
  const auto at = timers_.find(handle);
  if (at == timers_.end()) return;
  at->second.queued = false;
  if (at->second.period.count() == 0) markCancelled(at);
  settle(at, garbage);
}

void Timers::Impl::run(Handle handle) {
  Garbage garbage;
  std::shared_ptr<const Callback> fire;
  {
    const std::lock_guard lock(mutex_);
    const auto at = timers_.find(handle);
    if (at == timers_.end()) return;
    Timer &timer = at->second;
    timer.queued = false;
    if (timer.cancelled) return settle(at, garbage);
    timer.running = true;
    timer.runner = std::this_thread::get_id();
    fire = timer.fire;
  }
  // The timer is settled also when the callback throws; the executor reports the exception.
  struct Settle {
    Impl &impl;
    Handle handle;
    std::shared_ptr<const Callback> &fire;
    ~Settle() {
      Garbage garbage;
      fire.reset();
      const std::lock_guard lock(impl.mutex_);
      const auto at = impl.timers_.find(handle);
      at->second.running = false;
      at->second.runner = {};
      impl.settle(at, garbage);
    }
  } settleAtEnd{*this, handle, fire};
  if (*fire) (*fire)();
}

/// Forgets a timer that is over. With the lock held.
void Timers::Impl::settle(Timers::iterator at, Garbage &garbage) {
  const Timer &timer = at->second;
  if (timer.running) return;
  const bool over = timer.cancelled || (timer.period.count() == 0 && !timer.queued);
  if (over) {
    queue_.erase({timer.due, at->first});
    garbage.push_back(timer.fire);
    timers_.erase(at);
  }
  idle_.notify_all();
}

/// With the lock held. A run that waits on the executor finds the mark, or no timer at all, and does nothing.
void Timers::Impl::markCancelled(Timers::iterator at) {
  at->second.cancelled = true;
  queue_.erase({at->second.due, at->first});
}

void Timers::Impl::cancel(const Owner *owner, Handle handle) {
  Garbage garbage;
  std::unique_lock lock(mutex_);
  const auto at = timers_.find(handle);
  if (at == timers_.end() || (owner != nullptr && at->second.owner != *owner)) {
    throw Error(Status::NotFound,
                "no timer has the handle " + std::to_string(handle) + "; it has run or was cancelled");
  }
  markCancelled(at);
  if (at->second.running && at->second.runner == std::this_thread::get_id()) return;
  if (!at->second.running) return settle(at, garbage);
  idle_.wait(lock, [&] { return timers_.find(handle) == timers_.end(); });
}

bool Timers::Impl::sweep(const Owner *owner, std::optional<std::chrono::nanoseconds> timeout) {
  Garbage garbage;
  std::unique_lock lock(mutex_);
  const auto matches = [&](const Timer &timer) { return owner == nullptr || timer.owner == *owner; };
  for (auto at = timers_.begin(); at != timers_.end();) {
    const auto here = at++;
    if (!matches(here->second)) continue;
    markCancelled(here);
    settle(here, garbage);
  }
  const auto none = [&] {
    return std::none_of(timers_.begin(), timers_.end(), [&](const auto &entry) {
      return matches(entry.second) && entry.second.runner != std::this_thread::get_id();
    });
  };
  if (timeout) return idle_.wait_for(lock, *timeout, none);
  idle_.wait(lock, none);
  return true;
}

std::size_t Timers::Impl::size() const {
  const std::lock_guard lock(mutex_);
  return timers_.size();
}

bool Timers::Impl::advance(std::chrono::milliseconds by, std::chrono::nanoseconds patience) {
  if (!isManual_) throw Error(Status::FailedPrecondition, "these timers go with the time that passes");
  if (by.count() < 0) throw Error(Status::InvalidArgument, "time does not go back");
  const auto deadline = Clock::now() + patience;
  std::unique_lock lock(mutex_);
  const auto idle = [&] {
    return std::none_of(timers_.begin(), timers_.end(),
                        [](const auto &entry) { return entry.second.queued || entry.second.running; });
  };
  const auto until = now() + std::min(by, kLongest);
  while (!queue_.empty() && queue_.begin()->first <= until) {
    advanced_ = std::max<Clock::duration>(advanced_, queue_.begin()->first - begin_);
    const auto due = takeDue(now());
    lock.unlock();
    for (const auto &[handle, owner] : due)
      submit(handle, owner);
    lock.lock();
    if (!idle_.wait_until(lock, deadline, idle)) return false;
  }
  advanced_ = until - begin_;
  return true;
}

std::int64_t Timers::Impl::wallClockMs() const {
  const std::lock_guard lock(mutex_);
  return v1::wallClockMs() + std::chrono::duration_cast<std::chrono::milliseconds>(advanced_).count();
}

void Timers::Impl::end() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  sweep(nullptr, std::nullopt);
}

Timers::Timers(Executor &executor, std::optional<ManualTime> time) : impl_(std::make_shared<Impl>(executor, time)) {
  if (!time) impl_->begin();
}
Timers::~Timers() {
  impl_->end();
}

Timers::Handle Timers::schedule(Owner owner, std::chrono::milliseconds delay, std::chrono::milliseconds period,
                                Callback fire) {
  return impl_->schedule(owner, delay, period, std::move(fire));
}
void Timers::cancel(Handle handle) {
  impl_->cancel(nullptr, handle);
}
void Timers::cancel(Owner owner, Handle handle) {
  impl_->cancel(&owner, handle);
}
bool Timers::sweep(Owner owner, std::chrono::nanoseconds timeout) {
  return impl_->sweep(&owner, timeout);
}
std::size_t Timers::size() const {
  return impl_->size();
}
bool Timers::advance(std::chrono::milliseconds by, std::chrono::nanoseconds patience) {
  return impl_->advance(by, patience);
}
std::int64_t Timers::wallClockMs() const {
  return impl_->wallClockMs();
}

} // namespace matrixos::common
