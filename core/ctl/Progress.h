#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace matrixos::ctl {

class DaemonClient;

/// Shows on a terminal's standard error how a provision gets on, as long as it lives; silent elsewhere.
class Progress {
public:
  Progress(const DaemonClient &client, std::string handle);
  ~Progress();

private:
  void run();
  std::string line() const;

  const DaemonClient &client_;
  const std::string handle_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

} // namespace matrixos::ctl
