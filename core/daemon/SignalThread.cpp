#include "daemon/SignalThread.h"

#include "log/Log.h"

#include <matrixos/status.hpp>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

namespace matrixos::daemon {

namespace {

sigset_t setOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals)
    sigaddset(&set, signal);
  return set;
}

/// All that ends a process by default and may come from outside, but for SIGKILL and what tells of a crash.
sigset_t ourSignals() {
  sigset_t set = setOf(
      {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT});
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal)
    sigaddset(&set, signal);
  return set;
}

} // namespace

void SignalThread::blockAll() {
  const sigset_t set = ourSignals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // A file that grows beyond the limit is an error of the write.
  std::signal(SIGXFSZ, SIG_IGN);
}

const sigset_t &SignalThread::stopSignals() {
  static const sigset_t set = setOf({SIGTERM, SIGINT, SIGQUIT});
  return set;
}

void SignalThread::dieOf(int signal) {
  std::signal(signal, SIG_DFL);
  const sigset_t set = setOf({signal});
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(signal);
  std::_Exit(128 + signal);
}

SignalThread::SignalThread(std::function<void(int)> onStop, std::function<void()> onReload)
    : onStop_(std::move(onStop)), onReload_(std::move(onReload)) {
  const sigset_t set = ourSignals();
  signalFd_ = ::signalfd(-1, &set, SFD_CLOEXEC);
  endFd_ = ::eventfd(0, EFD_CLOEXEC);
  if (signalFd_ < 0 || endFd_ < 0) throw Error(Status::Internal, "no descriptors left for the signal thread");
  thread_ = std::thread([this] { run(); });
}

SignalThread::~SignalThread() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(endFd_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  ::close(signalFd_);
  ::close(endFd_);
}

void SignalThread::run() {
  ::pthread_setname_np(::pthread_self(), "signals");
  std::array<pollfd, 2> fds{pollfd{signalFd_, POLLIN, 0}, pollfd{endFd_, POLLIN, 0}};
  for (;;) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[1].revents != 0) return;
    signalfd_siginfo info{};
    if (::read(signalFd_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGHUP)
      onReload_();
    else if (::sigismember(&stopSignals(), signal) == 1)
      onStop_(signal);
    else
      log::Log("core").info("a signal that means nothing here was ignored",
                            {{"signal", signal}, {"from", info.ssi_pid}});
  }
}

} // namespace matrixos::daemon
