#pragma once

#include <functional>
#include <thread>

namespace matrixos::daemon {

/// The one thread that owns signals. Poco's ServerApplication dies of a SIGHUP, of a second SIGTERM and of a SIGTERM
/// that comes before it waits; so all of them are blocked in every thread and taken here, whenever they come.
class SignalThread {
public:
  /// Blocks SIGTERM, SIGINT, SIGQUIT and SIGHUP, and ignores SIGPIPE, for the calling thread and all it will start.
  /// Call it first in main().
  static void blockAll();

  /// onStop for SIGTERM, SIGINT, SIGQUIT (each time), onReload for SIGHUP; called on the signal thread, must not
  /// block. Signals that came since blockAll() are delivered at once. Throws Error(Internal) without descriptors.
  SignalThread(std::function<void(int signal)> onStop, std::function<void()> onReload);
  ~SignalThread();
  SignalThread(const SignalThread &) = delete;
  SignalThread &operator=(const SignalThread &) = delete;

private:
  void run();

  std::function<void(int)> onStop_;
  std::function<void()> onReload_;
  int signalFd_ = -1;
  int endFd_ = -1;
  std::thread thread_;
};

} // namespace matrixos::daemon
