#include "HostWork.h"

#include <algorithm>

namespace matrixos::conformance {

namespace {
constexpr int kWorkers = 4;
}

HostWork::HostWork() {
  for (int i = 0; i < kWorkers; ++i)
    threads_.emplace_back([this] { serve(); });
  threads_.emplace_back([this] { tick(); });
}

HostWork::~HostWork() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread &thread : threads_)
    thread.join();
}

void HostWork::submit(std::function<void()> run) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(run));
  changed_.notify_all();
}

std::uint64_t HostWork::schedule(std::chrono::milliseconds delay, std::chrono::milliseconds period,
                                 std::function<void()> fire) {
  const std::lock_guard lock(mutex_);
  timers_[++lastHandle_] =
      std::make_shared<Timer>(Timer{std::chrono::steady_clock::now() + delay, period, std::move(fire)});
  changed_.notify_all();
  return lastHandle_;
}

bool HostWork::cancel(std::uint64_t handle) {
  std::unique_lock lock(mutex_);
  const auto found = timers_.find(handle);
  if (found == timers_.end()) return false;
  const std::shared_ptr<Timer> timer = found->second;
  timers_.erase(found);
  if (timer->running == std::this_thread::get_id()) return true;
  changed_.wait(lock, [&] { return timer->running == std::thread::id{}; });
  return true;
}

bool HostWork::drain(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  timers_.clear();
  return changed_.wait_for(lock, limit, [&] { return queue_.empty() && busy_ == 0; });
}

void HostWork::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const std::function<void()> run = std::move(queue_.front());
    queue_.pop_front();
    ++busy_;
    lock.unlock();
    run();
    lock.lock();
    --busy_;
    changed_.notify_all();
  }
}

void HostWork::runTimer(std::uint64_t handle, const std::shared_ptr<Timer> &timer) {
  {
    const std::lock_guard lock(mutex_);
    if (timers_.count(handle) == 0 || timer->running != std::thread::id{}) return;
    timer->running = std::this_thread::get_id();
  }
  timer->fire();
  const std::lock_guard lock(mutex_);
  timer->running = {};
  if (timer->period.count() == 0) timers_.erase(handle);
  changed_.notify_all();
}

void HostWork::tick() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    auto next = std::chrono::steady_clock::now() + std::chrono::hours{1};
    for (const auto &[handle, timer] : timers_) {
      if (timer->at <= std::chrono::steady_clock::now()) {
        timer->at =
            std::chrono::steady_clock::now() + (timer->period.count() == 0 ? std::chrono::hours{24} : timer->period);
        queue_.emplace_back([this, handle = handle, timer = timer] { runTimer(handle, timer); });
        changed_.notify_all();
      }
      next = std::min(next, timer->at);
    }
    changed_.wait_until(lock, next);
  }
}

} // namespace matrixos::conformance
