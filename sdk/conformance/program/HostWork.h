#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace matrixos::conformance {

/// The executor and the timers of the small host. Its threads live as long as it does, so that the count of the
/// process's threads before a plugin's life and after it can be compared.
class HostWork {
public:
  HostWork();
  ~HostWork();

  void submit(std::function<void()> run);
  std::uint64_t schedule(std::chrono::milliseconds delay, std::chrono::milliseconds period, std::function<void()> fire);
  /// Waits for a run that is going on, unless called from inside it. False for an unknown handle.
  bool cancel(std::uint64_t handle);
  /// Ends all timers and waits until nothing is queued or runs; false when something still does after `limit`.
  bool drain(std::chrono::milliseconds limit);

private:
  struct Timer {
    std::chrono::steady_clock::time_point at;
    std::chrono::milliseconds period;
    std::function<void()> fire;
    std::thread::id running{};
  };

  void serve();
  void tick();
  void runTimer(std::uint64_t handle, const std::shared_ptr<Timer> &timer);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  std::map<std::uint64_t, std::shared_ptr<Timer>> timers_;
  std::uint64_t lastHandle_ = 0;
  std::size_t busy_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

} // namespace matrixos::conformance
