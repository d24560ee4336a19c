#include "ProbeAttempt.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace matrixos::lifecycle {

namespace {

/// "HTTP/1.1 200" and the character after it.
constexpr std::size_t kStatusLine = 13;

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

/// Length of the address, 0 when it is no IP literal. Names are never resolved: an instance's endpoint is an address.
socklen_t fill(SocketAddress &to, const Target &target) {
  std::memset(&to, 0, sizeof to);
  if (::inet_pton(AF_INET, target.address.c_str(), &to.v4.sin_addr) == 1) {
    to.v4.sin_family = AF_INET;
    to.v4.sin_port = htons(target.port);
    return sizeof to.v4;
  }
  if (::inet_pton(AF_INET6, target.address.c_str(), &to.v6.sin6_addr) == 1) {
    to.v6.sin6_family = AF_INET6;
    to.v6.sin6_port = htons(target.port);
    return sizeof to.v6;
  }
  return 0;
}

bool isDigit(char c) noexcept {
  return c >= '0' && c <= '9';
}

} // namespace

ProbeAttempt::Progress judgeStatusLine(std::string_view line) noexcept {
  using Progress = ProbeAttempt::Progress;
  static constexpr std::string_view kStart = "HTTP/1.";
  const std::string_view head = line.substr(0, kStart.size());
  if (head != kStart.substr(0, head.size())) return Progress::Failed;
  for (std::size_t i = kStart.size(); i < line.size() && i < kStatusLine; ++i) {
    const char c = line[i];
    const bool good = i == 8    ? c == ' '
                      : i == 12 ? c == ' ' || c == '\r' || c == '\n'
                      : i == 9  ? c >= '1' && c <= '9'
                                : isDigit(c);
    if (!good) return Progress::Failed;
  }
  return line.size() >= kStatusLine ? Progress::Ready : Progress::Pending;
}

ProbeAttempt::Progress ProbeAttempt::open(const Target &target) {
  close();
  SocketAddress address;
  const socklen_t length = fill(address, target);
  if (length == 0) return Progress::Failed;
  fd_ = ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return Progress::Failed;
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  stage_ = Stage::Connecting;
  answer_.clear();
  request_ =
      "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: matrixos-readiness\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  if (::connect(fd_, &address.any, length) == 0 || errno == EINPROGRESS) return Progress::Pending;
  return Progress::Failed;
}

ProbeAttempt::Progress ProbeAttempt::advance() {
  if (stage_ == Stage::Connecting) {
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) return Progress::Failed;
    stage_ = Stage::Sending;
  }
  if (stage_ == Stage::Sending) {
    const Progress sent = send();
    if (sent != Progress::Ready) return sent;
    stage_ = Stage::Reading;
  }
  return receive();
}

ProbeAttempt::Progress ProbeAttempt::send() {
  while (!request_.empty()) {
    const ssize_t count = ::send(fd_, request_.data(), request_.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN ? Progress::Pending : Progress::Failed;
    request_.erase(0, static_cast<std::size_t>(count));
  }
  return Progress::Ready;
}

ProbeAttempt::Progress ProbeAttempt::receive() {
  for (;;) {
    std::array<char, kStatusLine> bytes{};
    const ssize_t count = ::recv(fd_, bytes.data(), kStatusLine - answer_.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN ? Progress::Pending : Progress::Failed;
    if (count == 0) return Progress::Failed;
    answer_.append(bytes.data(), static_cast<std::size_t>(count));
    const Progress verdict = judgeStatusLine(answer_);
    if (verdict != Progress::Pending) return verdict;
  }
}

void ProbeAttempt::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

} // namespace matrixos::lifecycle
