#include "Strand.h"

#include <future>
#include <memory>
#include <utility>

namespace matrixos::orchestrator {

Strand::Strand() : thread_([this] { run(); }) {}

Strand::~Strand() {
  stop();
}

void Strand::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Strand::postAt(Clock::time_point when, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    timed_.emplace(when, std::move(task));
  }
  wake_.notify_one();
}

void Strand::sync() {
  if (std::this_thread::get_id() == thread_.get_id()) return;
  auto reached = std::make_shared<std::promise<void>>();
  std::future<void> done = reached->get_future();
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.emplace_back([reached] { reached->set_value(); });
  }
  wake_.notify_one();
  done.wait();
}

void Strand::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    timed_.clear();
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Strand::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    Task task;
    if (!tasks_.empty()) {
      task = std::move(tasks_.front());
      tasks_.pop_front();
    } else if (stopping_) {
      return;
    } else if (timed_.empty()) {
      wake_.wait(lock);
      continue;
    } else if (timed_.begin()->first > Clock::now()) {
      const auto until = timed_.begin()->first;
      wake_.wait_until(lock, until);
      continue;
    } else {
      task = std::move(timed_.begin()->second);
      timed_.erase(timed_.begin());
    }
    lock.unlock();
    try {
      task();
    } catch (...) { // a task reports its own failures; the strand serves the others
    }
    task = nullptr; // what it captured is freed without the lock
    lock.lock();
  }
}

} // namespace matrixos::orchestrator
