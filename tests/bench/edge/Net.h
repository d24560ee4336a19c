/// Sockets and epoll for the benchmark's programs: as little as possible, so that what is measured is the proxy.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

namespace bench {

/// The handshake of RFC 6455 §1.3: one fixed key, one fixed answer.
inline constexpr std::string_view kWebSocketKey = "dGhlIHNhbXBsZSBub25jZQ==";
inline constexpr std::string_view kWebSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

[[noreturn]] inline void fail(const char *what) {
  throw std::system_error(errno, std::generic_category(), what);
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

inline std::uint16_t parsePort(const char *text) {
  return static_cast<std::uint16_t>(std::strtoul(text, nullptr, 10));
}

inline int streamSocket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

inline int listenOn(std::uint16_t port) {
  const int fd = streamSocket();
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) fail("bind");
  if (::listen(fd, 4096) != 0) fail("listen");
  return fd;
}

/// The connection may still be under way; epoll says when it can be written to.
inline int connectTo(std::uint16_t port) {
  const int fd = streamSocket();
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    fail("connect");
  }
  return fd;
}

inline int acceptOn(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return -1;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

inline bool wouldBlock() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

/// Epoll whose events carry a pointer.
class Poller {
public:
  Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) fail("epoll_create1");
  }
  Poller(const Poller &) = delete;
  Poller &operator=(const Poller &) = delete;
  ~Poller() { ::close(fd_); }

  void add(int fd, unsigned events, void *user) { control(EPOLL_CTL_ADD, fd, events, user); }
  void change(int fd, unsigned events, void *user) { control(EPOLL_CTL_MOD, fd, events, user); }

  template <typename Handler>
  void wait(int timeoutMs, Handler &&handler) {
    std::array<epoll_event, 256> events{};
    const int count = ::epoll_wait(fd_, events.data(), static_cast<int>(events.size()), timeoutMs);
    for (int i = 0; i < count; ++i)
      handler(events[static_cast<std::size_t>(i)].data.ptr, events[static_cast<std::size_t>(i)].events);
  }

private:
  void control(int what, int fd, unsigned events, void *user) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = user;
    if (::epoll_ctl(fd_, what, fd, &event) != 0) fail("epoll_ctl");
  }
  int fd_;
};

} // namespace bench
