#include "daemon/Background.h"

#include "common/SystemError.h"
#include "daemon/SignalThread.h"
#include "log/Log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

namespace matrixos::daemon {

namespace {

void toNull(std::initializer_list<int> streams) noexcept {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (const int stream : streams)
    ::dup2(null, stream);
  ::close(null);
}

int awaitEnd(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  log::tell(log::Level::Error,
            "matrixosd: the daemon was ended by signal " + std::to_string(WTERMSIG(status)) + " before it served");
  return EX_SOFTWARE;
}

/// Ends this process as the daemon's start ended.
[[noreturn]] void waitFor(pid_t child, const FileDescriptor &word) {
  const FileDescriptor signals(::signalfd(-1, &SignalThread::stopSignals(), SFD_CLOEXEC));
  std::array<pollfd, 2> fds{pollfd{word.get(), POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
  int stopped = 0;
  for (;;) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (signalfd_siginfo info{}; fds[1].revents != 0 && ::read(signals.get(), &info, sizeof info) == sizeof info) {
      stopped = static_cast<int>(info.ssi_signo);
      ::kill(child, stopped);
    }
    if (fds[0].revents == 0) continue;
    char said = 0;
    const ssize_t got = ::read(word.get(), &said, 1);
    if (got < 0 && errno == EINTR) continue;
    const int code = got == 1 ? EX_OK : awaitEnd(child);
    // Whoever waits for this process learns that it was told to end.
    if (got == 0 && stopped != 0 && code == EX_OK) SignalThread::dieOf(stopped);
    std::_Exit(code);
  }
}

} // namespace

Background Background::enter() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) common::throwErrno(errno, "making a pipe");
  FileDescriptor from(ends[0]), to(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) common::throwErrno(errno, "making the daemon's process");
  if (child > 0) {
    to.reset();
    waitFor(child, from);
  }
  from.reset();
  ::setsid();
  if (::chdir("/") != 0) common::throwErrno(errno, "going to the folder /");
  toNull({STDIN_FILENO});
  return Background(std::move(to));
}

void Background::ready() noexcept {
  // First the streams: who waits for the process may wait for their ends, too.
  toNull({STDOUT_FILENO, STDERR_FILENO});
  [[maybe_unused]] const auto written = ::write(word_.get(), "", 1);
  word_.reset();
}

} // namespace matrixos::daemon
