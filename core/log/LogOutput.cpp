#include "log/LogOutput.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace matrixos::log {
namespace {

constexpr int kPatienceMs = 250;

/// systemd names the device and the inode of the stream that it gave: who inherited the variable alone writes
/// elsewhere, see $JOURNAL_STREAM in systemd.exec(5).
bool isJournal(const struct stat &stream) noexcept {
  const char *named = std::getenv("JOURNAL_STREAM");
  char own[64];
  std::snprintf(own, sizeof own, "%llu:%llu", static_cast<unsigned long long>(stream.st_dev),
                static_cast<unsigned long long>(stream.st_ino));
  return named != nullptr && std::string_view(named) == own;
}

/// A digit of syslog(3).
constexpr const char *priorityOf(Level level) noexcept {
  switch (level) {
  case Level::Error:
    return "<3>";
  case Level::Warning:
    return "<4>";
  case Level::Info:
    return "<6>";
  case Level::Debug:
    return "<7>";
  }
  return "<7>";
}

} // namespace

void LogOutput::setFd(int fd) noexcept {
  const std::lock_guard lock(mutex_);
  if (fd == fd_) return;
  fd_ = fd;
  known_ = false;
  stalled_ = false;
  midLine_ = false;
}

void LogOutput::lookAtFd() noexcept {
  struct stat stream {};
  const bool open = ::fstat(fd_, &stream) == 0;
  isSocket_ = open && S_ISSOCK(stream.st_mode);
  isJournal_ = open && isJournal(stream);
  known_ = true;
}

std::string_view LogOutput::prefix(Level level) noexcept {
  const std::lock_guard lock(mutex_);
  if (!known_) lookAtFd();
  return isJournal_ ? priorityOf(level) : "";
}

void LogOutput::write(std::string_view line) noexcept {
  const std::lock_guard lock(mutex_);
  if (!known_) lookAtFd();
  if ((stalled_ && !resume()) || !writeAll(line, kPatienceMs)) {
    stalled_ = true;
    ++droppedInStall_;
    dropped_.fetch_add(1, std::memory_order_relaxed);
  }
}

/// Tells the reader what it missed, once it reads again.
bool LogOutput::resume() noexcept {
  char note[128];
  const int length = std::snprintf(note, sizeof note,
                                   "%s%s{\"level\":\"warning\",\"logger\":\"core.log\",\"message\":"
                                   "\"log lines were dropped\",\"count\":%llu}\n",
                                   midLine_ ? "\n" : "", isJournal_ ? priorityOf(Level::Warning) : "",
                                   static_cast<unsigned long long>(droppedInStall_));
  if (!writeAll({note, std::min(static_cast<std::size_t>(length), sizeof note - 1)}, 0)) return false;
  stalled_ = false;
  midLine_ = false;
  droppedInStall_ = 0;
  return true;
}

/// Writes in pieces that a descriptor which polls as writable takes without blocking: PIPE_BUF for a pipe (pipe(7)),
/// and sockets are asked not to wait. Files and terminals always take them.
bool LogOutput::writeAll(std::string_view bytes, int timeoutMs) noexcept {
  bool begun = false;
  while (!bytes.empty()) {
    pollfd item{fd_, POLLOUT, 0};
    const int ready = ::poll(&item, 1, timeoutMs);
    if (ready < 0 && errno == EINTR) continue;
    // A pipe without a reader polls as an error; writing to it would raise SIGPIPE.
    if (ready > 0 && (item.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0) {
      const std::size_t piece = std::min<std::size_t>(bytes.size(), PIPE_BUF);
      const ssize_t written =
          isSocket_ ? ::send(fd_, bytes.data(), piece, MSG_DONTWAIT | MSG_NOSIGNAL) : ::write(fd_, bytes.data(), piece);
      if (written > 0) {
        begun = true;
        bytes.remove_prefix(static_cast<std::size_t>(written));
        continue;
      }
      if (errno == EINTR || errno == EAGAIN) {
        if (timeoutMs > 0) continue;
      }
    }
    midLine_ = midLine_ || begun;
    return false;
  }
  return true;
}

} // namespace matrixos::log
