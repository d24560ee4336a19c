#include "Client.h"

#include <array>

namespace bench {

using matrixos::http::TlsStream;

Client::Client(Poller &poller, const Target &target, std::string_view request)
    : poller_(poller), fd_(connectTo(target.port)),
      tls_(target.tls ? std::make_unique<TlsStream>(target.tls, fd_) : nullptr), ready_(!tls_), request_(request) {
  poller_.add(fd_, EPOLLIN | EPOLLOUT, this);
  out_ = request_;
  asked_ = Clock::now();
}

Client::~Client() {
  tls_.reset();
  ::close(fd_);
}

void Client::ask() {
  out_ = request_;
  started_ = false;
  answer_.reset();
  asked_ = Clock::now();
  send();
}

void Client::onEvent() noexcept {
  if (tls_) tls_->arrived(false);
}

Client::Turn Client::go() {
  if (!ready_ && !shakeHands()) return ready_ ? Turn::Failed : Turn::Waits;
  if (!out_.empty() && !send()) return Turn::Failed;
  return receive();
}

/// False: not yet, or with ready_ set never.
bool Client::shakeHands() {
  switch (tls_->handshake()) {
  case TlsStream::Result::Bytes:
    asked_ = Clock::now();
    return ready_ = true;
  case TlsStream::Result::WantMore:
    return false;
  default:
    ready_ = true;
    return false;
  }
}

bool Client::send() {
  while (!out_.empty()) {
    std::size_t put = 0;
    if (tls_) {
      const auto result = tls_->write(out_.data(), out_.size(), put);
      if (result == TlsStream::Result::WantMore) break;
      if (result != TlsStream::Result::Bytes) return false;
    } else {
      const ssize_t sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
      if (sent < 0 && wouldBlock()) break;
      if (sent < 0) return false;
      put = static_cast<std::size_t>(sent);
    }
    out_.remove_prefix(put);
  }
  if (writing_ == out_.empty()) {
    writing_ = !writing_;
    poller_.change(fd_, writing_ ? EPOLLIN | EPOLLOUT : EPOLLIN, this);
  }
  return true;
}

ssize_t Client::read(char *to, std::size_t size) {
  if (!tls_) {
    const ssize_t got = ::recv(fd_, to, size, 0);
    if (got < 0 && wouldBlock()) return 0;
    return got <= 0 ? -1 : got;
  }
  std::size_t got = 0;
  const auto result = tls_->read(to, size, got);
  if (result == TlsStream::Result::WantMore) return 0;
  return result == TlsStream::Result::Bytes ? static_cast<ssize_t>(got) : -1;
}

Client::Turn Client::receive() {
  static std::array<char, 64 * 1024> block;
  while (answer_.state() != AnswerReader::State::Done) {
    const ssize_t got = read(block.data(), block.size());
    if (got == 0) return Turn::Waits;
    if (got < 0) return Turn::Failed;
    const std::string_view bytes(block.data(), static_cast<std::size_t>(got));
    answer_.feed(bytes);
    if (answer_.state() == AnswerReader::State::Failed) return Turn::Failed;
    if (!started_ && bytes.find("message_start") != std::string_view::npos) {
      started_ = true; // also where the whole answer came with it
      return Turn::Started;
    }
  }
  return Turn::Done;
}

} // namespace bench
