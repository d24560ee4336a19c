/// One thread that runs tasks in the order they were given, and some at a time of their own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace matrixos::orchestrator {

/// Serial executor with a clock. Used where order matters: deliveries to watchers, deadlines of waiting callers.
/// post() and postAt() may come from any thread. What a task throws is swallowed.
class Strand {
public:
  using Task = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  Strand();
  ~Strand();

  /// Dropped silently after stop().
  void post(Task task);
  void postAt(Clock::time_point when, Task task);
  /// Returns once everything posted before has run; at once after stop() and on the strand's own thread.
  void sync();
  /// Finishes what was posted, drops what is timed, joins the thread. Idempotent; not from the strand itself.
  void stop() noexcept;

private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::multimap<Clock::time_point, Task> timed_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace matrixos::orchestrator
