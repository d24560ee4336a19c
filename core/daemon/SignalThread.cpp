#include "daemon/SignalThread.h"

#include <matrixos/status.hpp>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace matrixos::daemon {

namespace {

sigset_t ourSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP})
    sigaddset(&set, signal);
  return set;
}

} // namespace

void SignalThread::blockAll() {
  const sigset_t set = ourSignals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
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
    if (info.ssi_signo == SIGHUP)
      onReload_();
    else
      onStop_(static_cast<int>(info.ssi_signo));
  }
}

} // namespace matrixos::daemon
