#include "Socket.h"

#include "LoopImpl.h"

#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace matrixos::edge {

struct Socket::Impl {
  Descriptor descriptor;
};

Socket::Socket(Loop &loop, int fd) : fd_(fd) {
  try {
    impl_.reset(new Impl{Descriptor(loop.impl().context, fd)});
  } catch (...) {
    ::close(fd);
    throw;
  }
}

Socket::~Socket() {
  close();
}

std::shared_ptr<Socket> Socket::adopt(Loop &loop, int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // fails on UNIX sockets, where there is nothing to set
  return std::shared_ptr<Socket>(new Socket(loop, fd));
}

std::shared_ptr<Socket> Socket::connect(Loop &loop, const Address &to) {
  const int fd = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "socket");
  auto socket = adopt(loop, fd);
  // EAGAIN: the backlog of a UNIX socket is full.
  if (::connect(fd, to.data(), to.size()) != 0 && errno != EINPROGRESS) {
    throw std::system_error(errno, std::generic_category(), "connect to " + to.text());
  }
  return socket;
}

void Socket::waitReadable() {
  if (readWait_ || !open_) return;
  readWait_ = true;
  impl_->descriptor.async_wait(Descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code &) {
    self->readWait_ = false;
    if (self->open_ && self->user_ != nullptr) self->user_->onReadable();
  });
}

void Socket::waitWritable() {
  if (writeWait_ || !open_) return;
  writeWait_ = true;
  impl_->descriptor.async_wait(Descriptor::wait_write, [self = shared_from_this()](const boost::system::error_code &) {
    self->writeWait_ = false;
    if (self->open_ && self->user_ != nullptr) self->user_->onWritable();
  });
}

Io Socket::read(char *to, std::size_t size) noexcept {
  for (;;) {
    const ssize_t got = ::recv(fd_, to, size, 0);
    if (got > 0) return {Io::Kind::Bytes, static_cast<std::size_t>(got), 0};
    if (got == 0) return {Io::Kind::End, 0, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::Kind::WouldBlock, 0, 0};
    return {Io::Kind::Failed, 0, errno};
  }
}

Io Socket::write(const iovec *parts, int count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec *>(parts);
  message.msg_iovlen = static_cast<std::size_t>(count);
  for (;;) {
    const ssize_t put = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (put >= 0) return {Io::Kind::Bytes, static_cast<std::size_t>(put), 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::Kind::WouldBlock, 0, 0};
    return {Io::Kind::Failed, 0, errno};
  }
}

int Socket::finishConnect() noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void Socket::shutdownWrite() noexcept {
  ::shutdown(fd_, SHUT_WR);
}

void Socket::resetOnClose() noexcept {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void Socket::close() noexcept {
  if (!open_) return;
  open_ = false;
  user_ = nullptr;
  boost::system::error_code ignored;
  impl_->descriptor.close(ignored);
}

} // namespace matrixos::edge
