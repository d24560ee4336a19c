#include "Socket.h"

#include "ClientExchange.h"
#include "Loop.h"

#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace matrixos::http {

namespace {

constexpr unsigned kUserTimeoutMs = 30'000;
constexpr std::size_t kJoined = 4096;
constexpr unsigned kEnded = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

} // namespace

Socket::Socket(Loop &loop, int fd, bool connected) : loop_(loop), fd_(fd), writable_(connected) {
  try {
    loop_.reactor().add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, *this);
  } catch (...) {
    ::close(fd);
    throw;
  }
}

Socket::~Socket() {
  close();
}

std::shared_ptr<Socket> Socket::adopt(Loop &loop, int fd, const TlsContext *tls) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // fails on UNIX sockets, where there is nothing to set
  const std::shared_ptr<Socket> socket(new Socket(loop, fd, true));
  if (tls != nullptr) socket->tls_ = std::make_unique<TlsStream>(*tls, fd);
  return socket;
}

std::shared_ptr<Socket> Socket::connect(Loop &loop, const Address &to) {
  const int fd = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "socket");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // An upstream that vanished with our bytes on their way is noticed long before TCP would give up.
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof kUserTimeoutMs);
  // EAGAIN: the backlog of a UNIX socket is full.
  if (::connect(fd, to.data(), to.size()) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    throw std::system_error(error, std::generic_category(), "connect to " + to.text());
  }
  return std::shared_ptr<Socket>(new Socket(loop, fd, false));
}

std::optional<PeerProcess> Socket::peerProcess() const noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  int family = 0;
  socklen_t familySize = sizeof family;
  if (!open_ || ::getsockopt(fd_, SOL_SOCKET, SO_DOMAIN, &family, &familySize) != 0 || family != AF_UNIX ||
      ::getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  return PeerProcess{peer.uid, peer.pid};
}

void Socket::waitReadable() {
  if (readWait_ || !open_) return;
  readWait_ = true;
  if (readable_) loop_.reactor().again(*this);
}

void Socket::waitWritable() {
  if (writeWait_ || !open_) return;
  writeWait_ = true;
  if (writable_) loop_.reactor().again(*this);
}

void Socket::waitEnd() {
  if (endWait_ || !open_) return;
  endWait_ = true;
  if (ended_) loop_.reactor().again(*this);
}

void Socket::onEvents(unsigned events) {
  ended_ = ended_ || (events & kEnded) != 0;
  readable_ = readable_ || (events & (EPOLLIN | kEnded)) != 0;
  writable_ = writable_ || (events & (EPOLLOUT | kEnded)) != 0;
  // TLS may have to write in order to read, and the other way round.
  if (tls_) {
    readable_ = writable_ = true;
    if ((events & (EPOLLIN | kEnded)) != 0) tls_->arrived(ended_);
  }
  const auto self = shared_from_this(); // a user may let go of it
  if (writable_ && writeWait_ && open_) {
    writeWait_ = false;
    if (user_ != nullptr) user_->onWritable();
  }
  if (((readable_ && readWait_) || (ended_ && endWait_)) && open_) {
    readWait_ = endWait_ = false;
    if (user_ != nullptr) user_->onReadable();
  }
}

Io Socket::read(char *to, std::size_t size) noexcept {
  if (tls_) return readEncrypted(to, size);
  for (;;) {
    const ssize_t got = ::recv(fd_, to, size, 0);
    if (got > 0) {
      // Less than there was room for is all there was; only an end that was announced already comes unannounced.
      readable_ = ended_ || static_cast<std::size_t>(got) == size;
      return {Io::Kind::Bytes, static_cast<std::size_t>(got), 0};
    }
    if (got == 0) return {Io::Kind::End, 0, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      readable_ = false;
      return {Io::Kind::WouldBlock, 0, 0};
    }
    return {Io::Kind::Failed, 0, errno};
  }
}

bool Socket::isSilent() noexcept {
  if (tls_) tls_->arrived(ended_);
  char byte = 0;
  return read(&byte, 1).kind == Io::Kind::WouldBlock;
}

Io Socket::peek(char *to, std::size_t size) noexcept {
  readable_ = false; // until more has come: what is there stays
  ssize_t got = 0;
  do {
    got = ::recv(fd_, to, size, MSG_PEEK);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return {Io::Kind::Bytes, static_cast<std::size_t>(got), 0};
  if (got == 0) return {Io::Kind::End, 0, 0};
  return {errno == EAGAIN || errno == EWOULDBLOCK ? Io::Kind::WouldBlock : Io::Kind::Failed, 0, errno};
}

void Socket::skip(std::size_t size) noexcept {
  std::array<char, 512> waste; // NOLINT(cppcoreguidelines-pro-type-member-init): only written to
  while (size != 0) {
    const ssize_t got = ::recv(fd_, waste.data(), std::min(size, waste.size()), 0);
    if (got <= 0) break; // its end shows in the next read
    size -= static_cast<std::size_t>(got);
  }
  readable_ = true;
}

Io Socket::readEncrypted(char *to, std::size_t size) noexcept {
  std::size_t sum = 0;
  TlsStream::Result result = TlsStream::Result::Bytes;
  // A record holds what its sender wrote at once, which may be little; what came together goes on together.
  while (result == TlsStream::Result::Bytes && sum < size) {
    std::size_t got = 0;
    result = tls_->read(to + sum, size - sum, got);
    sum += got;
    if (result == TlsStream::Result::Bytes && tls_->exhausted()) result = TlsStream::Result::WantMore;
  }
  // Where all room was used, a record may be left that no event announces: it is still readable.
  if (result == TlsStream::Result::WantMore) readable_ = false;
  if (sum != 0) return {Io::Kind::Bytes, sum, 0}; // an end or a failure shows again in the next read
  if (result == TlsStream::Result::WantMore) return {Io::Kind::WouldBlock, 0, 0};
  if (result == TlsStream::Result::End) return {Io::Kind::End, 0, 0};
  return {Io::Kind::Failed, 0, ECONNRESET};
}

Io Socket::writeEncrypted(const iovec *parts, int count) noexcept {
  // Each write makes a record and a system call, so small parts go together. What is tried again after it blocked
  // begins with the same bytes, and is no shorter, as OpenSSL demands.
  std::array<char, kJoined> joined; // NOLINT(cppcoreguidelines-pro-type-member-init): only what was copied is read
  std::size_t sum = 0;
  std::size_t taken = 0; // of the first part
  while (count != 0) {
    const char *from = static_cast<const char *>(parts->iov_base) + taken;
    std::size_t size = parts->iov_len - taken;
    if (count == 1 || size >= joined.size()) {
      ++parts, --count, taken = 0;
    } else {
      size = 0;
      while (count != 0 && size < joined.size()) {
        const std::size_t part = std::min(parts->iov_len - taken, joined.size() - size);
        std::memcpy(joined.data() + size, static_cast<const char *>(parts->iov_base) + taken, part);
        size += part;
        taken += part;
        if (taken == parts->iov_len) ++parts, --count, taken = 0;
      }
      from = joined.data();
    }
    std::size_t put = 0;
    const TlsStream::Result result = tls_->write(from, size, put);
    sum += put;
    if (result == TlsStream::Result::WantMore) writable_ = false;
    if (result == TlsStream::Result::End || result == TlsStream::Result::Failed) return {Io::Kind::Failed, 0, EPIPE};
    if (put != size) break;
  }
  if (sum == 0) return {Io::Kind::WouldBlock, 0, 0};
  return {Io::Kind::Bytes, sum, 0};
}

Io Socket::write(const iovec *parts, int count) noexcept {
  if (tls_) return writeEncrypted(parts, count);
  msghdr message{};
  message.msg_iov = const_cast<iovec *>(parts);
  message.msg_iovlen = static_cast<std::size_t>(count);
  for (;;) {
    const ssize_t put = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (put >= 0) return {Io::Kind::Bytes, static_cast<std::size_t>(put), 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      writable_ = false;
      return {Io::Kind::WouldBlock, 0, 0};
    }
    return {Io::Kind::Failed, 0, errno};
  }
}

int Socket::finishConnect() noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void Socket::startTls(std::shared_ptr<TlsPeer> peer) {
  tls_ = std::make_unique<TlsStream>(std::move(peer), fd_);
}

Io Socket::handshake() noexcept {
  switch (tls_->handshake()) {
  case TlsStream::Result::Bytes:
    readable_ = writable_ = true; // what came behind the handshake may have been taken from the kernel with it
    return {Io::Kind::Bytes, 0, 0};
  case TlsStream::Result::WantMore:
    readable_ = writable_ = false; // any event may be the one that it waits for
    return {Io::Kind::WouldBlock, 0, 0};
  case TlsStream::Result::End:
  case TlsStream::Result::Failed:
    break;
  }
  return {Io::Kind::Failed, 0, EPROTO};
}

void Socket::shutdownWrite() noexcept {
  if (tls_) tls_->finish();
  ::shutdown(fd_, SHUT_WR);
}

void Socket::resetOnClose() noexcept {
  reset_ = true;
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void Socket::close() noexcept {
  if (!open_) return;
  open_ = false;
  user_ = nullptr;
  loop_.reactor().remove(fd_, *this);
  if (tls_ && !reset_) tls_->finish();
  ::close(fd_);
}

} // namespace matrixos::http
