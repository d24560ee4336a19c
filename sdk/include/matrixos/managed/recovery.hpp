/// matrixos/managed/recovery.hpp: when a managed runtime's recover() is due, and who waits for it.
#pragma once

#include <matrixos/call.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace matrixos {
inline namespace v1 {
namespace managed {

/// What recover() has where no call waits for it.
inline constexpr std::chrono::seconds kRecoveryTime{10};

/// Something that has to be done before anything else, and again whenever setDue() says so. Due at first. Thread-safe.
class Recovery {
public:
  bool isDue() const noexcept { return state_ != State::Done; }

  /// Also while it is being done, which then was too early.
  void setDue() {
    const std::lock_guard<std::mutex> lock(mutex_);
    state_ = state_ == State::Done ? State::Due : state_ == State::Running ? State::RunningTooEarly : state_.load();
  }

  /// Returns once it is done: by `run` on this thread, which may come here again, or on another one. Throws what `run`
  /// throws, and when the call is over.
  template <typename Run>
  void ensure(const Call &call, Run &&run) {
    if (!isDue()) return;
    std::unique_lock<std::mutex> lock(mutex_);
    while (isRunning()) {
      if (runner_ == std::this_thread::get_id()) return;
      call.throwIfDone();
      // A condition variable cannot wait for a descriptor too, hence the slices.
      changed_.wait_for(lock, std::max(call.remaining(std::chrono::milliseconds{20}), std::chrono::milliseconds{1}));
    }
    if (!isDue()) return;
    state_ = State::Running;
    runner_ = std::this_thread::get_id();
    lock.unlock();
    try {
      run();
    } catch (...) {
      lock.lock();
      end(State::Due);
      throw;
    }
    lock.lock();
    end(state_ == State::Running ? State::Done : State::Due);
  }

private:
  enum class State { Due, Running, RunningTooEarly, Done };

  bool isRunning() const noexcept { return state_ == State::Running || state_ == State::RunningTooEarly; }
  void end(State next) {
    state_ = next;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<State> state_{State::Due};
  std::thread::id runner_; ///< while it is running
};

} // namespace managed
} // namespace v1
} // namespace matrixos
