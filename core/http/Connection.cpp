#include "http/Connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace matrixos::api {

namespace {

/// Milliseconds for poll(), rounded up so that a wait never ends before its deadline.
int pollTimeout(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

} // namespace

Connection::Connection(int fd, auth::ApiSocket door, bool unixSocket, std::optional<uid_t> peerUid)
    : fd_(fd), door_(door), unixSocket_(unixSocket), peerUid_(peerUid) {}

Connection::~Connection() {
  ::close(fd_);
}

Connection::Read Connection::receiveNow() {
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) {
      input_.append(buffer.data(), static_cast<std::size_t>(got));
      return Read::Data;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Read::TimedOut;
    return Read::End;
  }
}

Connection::Read Connection::receive(Clock::time_point deadline) {
  for (;;) {
    if (aborted_) return Read::Aborted;
    const Read read = receiveNow();
    if (read == Read::End && aborted_) return Read::Aborted;
    if (read != Read::TimedOut) return read;
    if (Clock::now() >= deadline) return Read::TimedOut;
    pollfd waiting{fd_, POLLIN, 0};
    ::poll(&waiting, 1, pollTimeout(deadline));
  }
}

bool Connection::send(std::string_view first, std::string_view second, std::chrono::milliseconds patience) {
  Clock::time_point deadline = Clock::now() + patience;
  while (!first.empty() || !second.empty()) {
    if (aborted_) return false;
    std::array<iovec, 2> parts{iovec{const_cast<char *>(first.data()), first.size()},
                               iovec{const_cast<char *>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t put = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put >= 0) {
      const auto taken = static_cast<std::size_t>(put);
      bytesSent_ += taken;
      const std::size_t fromFirst = std::min(taken, first.size());
      first.remove_prefix(fromFirst);
      second.remove_prefix(taken - fromFirst);
      deadline = Clock::now() + patience;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
    if (Clock::now() >= deadline) return false;
    pollfd waiting{fd_, POLLOUT, 0};
    ::poll(&waiting, 1, pollTimeout(deadline));
  }
  return true;
}

void Connection::sendNow(std::string_view text) noexcept {
  const ssize_t put = ::send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put > 0) bytesSent_ += static_cast<std::size_t>(put);
}

void Connection::abort() noexcept {
  aborted_ = true;
  ::shutdown(fd_, SHUT_RDWR);
}

bool Connection::peerGone() const noexcept {
  if (aborted_) return true;
  // A unix socket tells closing (POLLHUP) from half-closing; TCP shows a FIN for both.
  const short gone = unixSocket_ ? short{0} : short{POLLRDHUP};
  pollfd state{fd_, gone, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (gone | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

} // namespace matrixos::api
