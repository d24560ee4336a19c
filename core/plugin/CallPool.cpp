#include "plugin/CallPool.h"

#include <matrixos/status.hpp>

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

namespace matrixos::plugin {

namespace {

constexpr std::chrono::seconds kIdleTime{10};

} // namespace

CallPool &CallPool::instance() {
  static auto *pool = new CallPool;
  return *pool;
}

void CallPool::run(std::shared_ptr<PoolJob> job) {
  {
    std::unique_lock lock(mutex_);
    if (!idle_.empty()) {
      Worker &worker = *idle_.back();
      idle_.pop_back();
      worker.job = std::move(job);
      // Under the lock, since the worker may end, and its condition with it, as soon as it has the job.
      worker.wake.notify_one();
      return;
    }
  }
  try {
    std::thread([this, job = std::move(job)]() mutable { work(std::move(job)); }).detach();
  } catch (const std::system_error &) {
    throw Error(Status::ResourceExhausted, "no thread can be made; raise the limit of threads (ulimit -u, TasksMax)",
                "NO_THREAD", 1000);
  }
}

std::size_t CallPool::idle() const {
  const std::lock_guard lock(mutex_);
  return idle_.size();
}

void CallPool::work(std::shared_ptr<PoolJob> first) {
  ::pthread_setname_np(::pthread_self(), "plugin-call");
  Worker self;
  for (auto job = std::move(first); job; job = next(self)) {
    job->run();
    job.reset(); // whoever waits elsewhere for its end counts on it being gone soon
  }
}

/// Null when nobody wanted the thread for a while.
std::shared_ptr<PoolJob> CallPool::next(Worker &self) {
  std::unique_lock lock(mutex_);
  idle_.push_back(&self);
  self.wake.wait_for(lock, kIdleTime, [&] { return self.job != nullptr; });
  if (!self.job) idle_.erase(std::find(idle_.begin(), idle_.end(), &self));
  return std::move(self.job);
}

} // namespace matrixos::plugin
