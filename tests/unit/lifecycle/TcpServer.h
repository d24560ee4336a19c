#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <lifecycle/InstanceView.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace matrixos::lifecycle::test {

/// A TCP server on a port of its own whose connections do what the test says, one after the other.
class TcpServer {
public:
  using Serve = std::function<void(int fd, int connection)>;

  explicit TcpServer(Serve serve) : serve_(std::move(serve)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~TcpServer() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    ::close(fd_);
  }
  void listen() {
    REQUIRE(::listen(fd_, 16) == 0);
    thread_ = std::thread([this] { run(); });
  }
  Target target(const std::string &scope = "bridge") const { return {"gateway", "127.0.0.1", port_, scope, "e"}; }
  int connections() const { return connections_.load(); }
  const std::atomic<bool> &stopping() const { return stopping_; }

private:
  void run() {
    while (!stopping_) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int peer = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) continue;
      serve_(peer, ++connections_);
      ::close(peer);
    }
  }

  Serve serve_;
  int fd_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

inline void say(int fd, const std::string &text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t count = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<std::size_t>(count);
  }
}

inline void readRequest(int fd) {
  std::string request;
  char bytes[512];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t count = ::recv(fd, bytes, sizeof bytes, 0);
    if (count <= 0) return;
    request.append(bytes, static_cast<std::size_t>(count));
  }
}

} // namespace matrixos::lifecycle::test
