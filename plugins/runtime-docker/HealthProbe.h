#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace matrixos::docker {

/// Asks on its own thread, again and again, whether the engine is there, and tells when the answer changes.
class HealthProbe {
public:
  /// Asks the engine; answers "" when all is well, else what is wrong. May block for some seconds.
  using AskFn = std::function<std::string()>;
  /// Told the first answer and every different one after it.
  using TellFn = std::function<void(const std::string &problem)>;

  /// While something is wrong it asks every `retry`, else every `period`.
  HealthProbe(AskFn ask, TellFn tell, std::chrono::milliseconds period, std::chrono::milliseconds retry);
  /// Waits for a question under way.
  ~HealthProbe();

private:
  void run();

  const AskFn ask_;
  const TellFn tell_;
  const std::chrono::milliseconds period_;
  const std::chrono::milliseconds retry_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace matrixos::docker
