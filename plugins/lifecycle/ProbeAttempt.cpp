#include "ProbeAttempt.h"

#include <matrixos/address.hpp>

#include <http/codec/ResponseParser.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace matrixos::lifecycle {

ProbeAttempt::Progress judgeStatusLine(std::string_view answer) {
  // What follows the line does not count: the line alone makes a head.
  const std::size_t end = answer.find('\n');
  std::string head(answer.substr(0, end == std::string_view::npos ? end : end + 1));
  if (end != std::string_view::npos) head += "\r\n";
  http::ResponseHead parsed;
  switch (http::ResponseParser().parse(head, {}, false, parsed)) {
  case http::ParseResult::NeedMore:
    return ProbeAttempt::Progress::Pending;
  case http::ParseResult::Complete:
    return ProbeAttempt::Progress::Ready;
  default:
    return ProbeAttempt::Progress::Failed;
  }
}

ProbeAttempt::Progress ProbeAttempt::open(const Target &target) {
  close();
  const auto address = Address::tryIp(target.address, target.port);
  if (!address) return Progress::Failed;
  fd_ = ::socket(address->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return Progress::Failed;
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  stage_ = Stage::Connecting;
  answer_.clear();
  request_ =
      "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: matrixos-readiness\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  if (::connect(fd_, address->data(), address->size()) == 0 || errno == EINPROGRESS) return Progress::Pending;
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
    std::array<char, 256> bytes{};
    const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), 0);
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
