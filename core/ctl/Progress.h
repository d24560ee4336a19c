#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace matrixos::ctl {

class DaemonClient;

/// Shows on a terminal's standard error how far a command is, as long as it lives; silent elsewhere. It asks a route
/// for that, as mos_command.progress says.
class Progress {
public:
  /// `subject`: what stands before it.
  Progress(const DaemonClient &client, std::string target, std::string subject);
  ~Progress();

private:
  void run();
  std::string line() const;

  const DaemonClient &client_;
  const std::string target_, subject_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

} // namespace matrixos::ctl
