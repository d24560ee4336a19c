#pragma once

#include "support/Sockets.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace matrixos::test {

/// A connection that a ScriptedServer accepted. It is used on the thread that serves it.
class Peer {
public:
  Peer(int fd, int number, const std::atomic<bool> &stopping) : fd_(fd), number_(number), stopping_(stopping) {}

  int fd() const noexcept { return fd_; }
  /// 1 for the server's first connection.
  int number() const noexcept { return number_; }
  /// False when the other side does not take it any more.
  bool say(std::string_view bytes) const { return sendAll(fd_, bytes); }
  /// An HTTP answer, such as answer("200 OK", "application/json", "{}").
  void answer(const std::string &status, const std::string &type, const std::string &body) const;
  /// A request with the body that its Content-Length announces; what there is when the connection ends before.
  std::string readRequest() const;
  /// Says nothing until the other side closes or the server ends.
  void hang() const;
  /// Ends the connection in good order, at once.
  void finish() const;
  /// The connection will end with a reset.
  void reset() const { resetOnClose(fd_); }
  /// The server is ending.
  bool stopping() const noexcept { return stopping_; }

private:
  int fd_;
  int number_;
  const std::atomic<bool> &stopping_;
};

/// A server that does with each connection what the test says, each on a thread of its own. A connection is closed when
/// its script returns. When the server ends it shuts down those that are left, so that no script reads for ever.
class ScriptedServer {
public:
  using Script = std::function<void(const Peer &peer)>;

  /// Takes a loopback port, a free one for 0. It refuses connections until listen().
  explicit ScriptedServer(Script script, std::uint16_t port = 0, const std::string &address = "127.0.0.1");
  /// Serves at a unix socket from now on.
  ScriptedServer(Script script, const std::filesystem::path &path);
  ScriptedServer(const ScriptedServer &) = delete;
  ScriptedServer &operator=(const ScriptedServer &) = delete;
  ~ScriptedServer();

  void listen(int backlog = 1024);
  /// 0 at a unix socket.
  std::uint16_t port() const noexcept { return port_ ? port_->port() : std::uint16_t{0}; }
  /// How many it accepted so far.
  int connections() const noexcept { return connections_; }

private:
  int listener() const noexcept { return port_ ? port_->fd() : unix_.get(); }
  void start();
  void serve(FileDescriptor fd);

  Script script_;
  std::optional<LoopbackPort> port_;
  FileDescriptor unix_;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::set<int> open_;
  std::list<std::thread> threads_;
  std::vector<std::list<std::thread>::iterator> ended_;
  std::thread acceptor_;
};

} // namespace matrixos::test
