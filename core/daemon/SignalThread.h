#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace matrixos::daemon {

/// The one thread that owns signals. Poco's ServerApplication dies of a SIGHUP, of a second SIGTERM and of a SIGTERM
/// that comes before it waits; so all of them are blocked in every thread and taken here, whenever they come.
class SignalThread {
public:
  /// Blocks for the calling thread, and all it will start, the signals that mean something here and those that would
  /// end the process without being anybody's fault; ignores SIGPIPE and SIGXFSZ. Call it first in main().
  static void blockAll();
  /// SIGTERM, SIGINT and SIGQUIT.
  static const sigset_t &stopSignals();
  /// Ends this process by the signal.
  [[noreturn]] static void dieOf(int signal);

  /// onStop for SIGTERM, SIGINT, SIGQUIT (each time), onReload for SIGHUP; called on the signal thread, must not
  /// block. Others, such as SIGUSR1, are logged. Signals that came since blockAll() are delivered at once. Throws
  /// Error(Internal) without descriptors.
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
