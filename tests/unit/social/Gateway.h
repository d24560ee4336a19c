#pragma once

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace matrixos::social::test {

/// One accepted connection of a Gateway.
class Peer {
public:
  Peer(int fd, const std::atomic<bool> &stopping) : fd_(fd), stopping_(stopping) {}

  /// The next request on this connection; empty when there is none, because the client has gone or the gateway ends.
  std::string receive() const {
    std::string request;
    std::size_t need = std::string::npos;
    char bytes[4096];
    while (request.size() < need && !stopping_) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
      if (count <= 0) break;
      request.append(bytes, static_cast<std::size_t>(count));
      const std::size_t end = request.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const std::size_t at = request.find("Content-Length: ");
      need = end + 4 + (at < end ? std::stoul(request.substr(at + 16)) : 0);
    }
    return request;
  }
  void say(const std::string &text) const {
    std::size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t count = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<std::size_t>(count);
    }
  }
  void answer(const std::string &status, const std::string &type, const std::string &body) const {
    say("HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body);
  }
  /// Closes in good order, at once.
  void finish() const { ::shutdown(fd_, SHUT_RDWR); }
  /// Closes with a reset instead of an orderly end.
  void reset() const {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  /// Until the client has gone or the gateway ends.
  void hang() const {
    char byte = 0;
    while (!stopping_) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) > 0 && ::recv(fd_, &byte, 1, 0) <= 0) return;
    }
  }
  bool stopping() const { return stopping_; }

private:
  int fd_;
  const std::atomic<bool> &stopping_;
};

/// An HTTP server that does to each connection's first request what the test says. Keeps these requests.
class Gateway {
public:
  using Serve = std::function<void(const Peer &peer)>;

  /// On a loopback port of its own.
  explicit Gateway(Serve serve) : serve_(std::move(serve)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    begin();
  }
  /// On a unix socket.
  Gateway(Serve serve, const std::string &path)
      : serve_(std::move(serve)), fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    begin();
  }
  Gateway(const Gateway &) = delete;
  Gateway &operator=(const Gateway &) = delete;
  ~Gateway() {
    stopping_ = true;
    thread_.join();
    for (std::thread &connection : connections_)
      connection.join();
    ::close(fd_);
  }

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

private:
  void begin() {
    REQUIRE(::listen(fd_, 64) == 0);
    thread_ = std::thread([this] { run(); });
  }

  void run() {
    while (!stopping_) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      connections_.emplace_back([this, fd] {
        const Peer peer(fd, stopping_);
        std::string request = peer.receive();
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(std::move(request));
        }
        serve_(peer);
        ::close(fd);
      });
    }
  }

  Serve serve_;
  int fd_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::list<std::thread> connections_;
  std::thread thread_;
};

/// A loopback port where nobody listens.
class ClosedPort {
public:
  ClosedPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~ClosedPort() { ::close(fd_); }
  ClosedPort(const ClosedPort &) = delete;
  ClosedPort &operator=(const ClosedPort &) = delete;
  std::uint16_t port() const { return port_; }

private:
  int fd_;
  std::uint16_t port_ = 0;
};

} // namespace matrixos::social::test
