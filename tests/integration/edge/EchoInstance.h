/// EchoInstance.h: what the instances of the edge's tests answer with.
#pragma once

#include "bench/edge/Net.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace matrixos::test {

/// An HTTP server on a thread of its own that carries thousands of connections. Each answer's body names the nonce and
/// the host that were asked for. /large is kLarge bytes; a WebSocket gives each frame back.
class EchoInstance {
public:
  static constexpr std::size_t kLarge = 8 * 1024 * 1024;

  /// `open` false: it reads and says nothing until open() is called, like one that boots. `backlog` as listen(2) has
  /// it.
  explicit EchoInstance(bool open = true, int backlog = 4096);
  ~EchoInstance();
  EchoInstance(const EchoInstance &) = delete;
  EchoInstance &operator=(const EchoInstance &) = delete;

  std::uint16_t port() const noexcept { return port_; }
  /// Answers everybody who waits, and from here on at once. Thread-safe.
  void open();
  /// Says nothing again. Thread-safe.
  void shut() noexcept { open_ = false; }
  /// Connections that stand. Thread-safe.
  std::size_t connections() const noexcept { return connections_; }
  /// Requests that were answered, those of the readiness probe left out. Thread-safe.
  std::size_t answered() const noexcept { return answered_; }

private:
  struct Conn {
    int fd = -1;
    std::string in;
    std::string out;
    std::string reply;      ///< for when the request's body is here
    std::size_t filler = 0; ///< bytes that follow `out`
    std::size_t body = 0;   ///< of the request, still to come
    bool webSocket = false;
    bool writing = false;
  };

  void run();
  void accept();
  bool serve(Conn &conn);
  void takeInput(Conn &conn);
  bool takeHead(Conn &conn);
  static bool takeFrame(Conn &conn);
  bool flush(Conn &conn);
  void end(Conn &conn);
  void wakeUp() const;

  bench::Poller poller_;
  int listener_;
  int wake_;
  std::uint16_t port_ = 0;
  std::list<Conn> conns_;
  bool someEnded_ = false;
  std::atomic<bool> open_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> answered_{0};
  std::thread thread_;
};

} // namespace matrixos::test
