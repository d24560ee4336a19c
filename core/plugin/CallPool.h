#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::plugin {

/// Work for a thread of the CallPool. Owns, by shared pointers, all that it touches.
class PoolJob {
public:
  virtual ~PoolJob() = default;
  /// Called once. Throws nothing.
  virtual void run() noexcept = 0;
};

/// Threads for calls that may hang, so that a caller can return while the call still hangs. Free threads are used
/// again, the last one first, and end when idle for a while. There is no bound, because a caller waits for every job:
/// there are at most as many threads as callers and calls given up. Thread-safe.
class CallPool {
public:
  /// The one of the process, never destroyed: a thread that hangs may outlive everything else.
  static CallPool &instance();

  /// Runs the job at once on a thread of its own. Throws Error(ResourceExhausted) when no thread can be made.
  void run(std::shared_ptr<PoolJob> job);
  /// Threads that wait for work.
  std::size_t idle() const;

private:
  struct Worker {
    std::condition_variable wake;
    std::shared_ptr<PoolJob> job;
  };

  void work(std::shared_ptr<PoolJob> first);
  std::shared_ptr<PoolJob> next(Worker &self);

  mutable std::mutex mutex_;
  std::vector<Worker *> idle_;
};

} // namespace matrixos::plugin
