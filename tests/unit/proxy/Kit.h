/// Real sockets for the proxy's tests: a client, an upstream that does as it is told, and a proxy between them.
#pragma once

#include "support/ScriptedServer.h"
#include "support/Wait.h"

#include <proxy/Proxy.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kit {

using namespace std::chrono_literals;

using matrixos::test::eventually;
using matrixos::test::freePort;

/// A blocking connection; every read gives up after 10 seconds.
class Conn {
public:
  explicit Conn(int fd) : fd_(fd) {}
  Conn(Conn &&other) noexcept : fd_(std::exchange(other.fd_, -1)), rest_(std::move(other.rest_)) {}
  Conn &operator=(Conn &&) = delete;
  ~Conn() { close(); }
  static Conn to(std::uint16_t port);

  bool send(std::string_view text);
  /// Up to and with the empty line; "" when the connection ended first.
  std::string readHead();
  std::string readExactly(std::size_t size);
  /// What comes until the other side closes; `*reset` tells how it did.
  std::string readAll(bool *reset = nullptr);
  /// True when the other side closes without another byte, and not when it only says nothing for 10 seconds.
  bool ends();
  /// A whole response: head and body by its framing, chunked ones decoded.
  struct Response {
    int status = 0;
    std::string head;
    std::string body;
    /// The value of a field, all of that name joined by "|".
    std::string field(const std::string &name) const;
  };
  Response readResponse(bool toHead = false);
  Response get(const std::string &path, const std::string &host, const std::string &fields = {});
  void shutdownWrite();
  void reset();
  void close();
  int fd() const { return fd_; }

private:
  bool more();
  int fd_;
  std::string rest_;
};

/// Field lookup in the text of a head.
std::string fieldOf(const std::string &head, const std::string &name);

/// Serves each connection on a thread of its own with the given script.
class Upstream {
public:
  using Script = std::function<void(Conn &)>;
  explicit Upstream(Script script, std::uint16_t port = 0);
  /// On a UNIX socket.
  Upstream(Script script, const std::string &path);
  std::uint16_t port() const { return server_.port(); }
  int accepted() const { return server_.connections(); }

  /// Answers every request with its own head and body as the body, until the client leaves.
  static void echo(Conn &conn);

private:
  matrixos::test::ScriptedServer server_;
};

/// A port whose backlog is full: connecting to it takes until somebody else has it.
class FullPort {
public:
  FullPort();
  std::uint16_t port() const { return port_.port(); }
  /// A connection is being made that does not come about.
  bool somebodyWaits() const;
  /// Frees the port and names it.
  std::uint16_t close();

private:
  matrixos::test::LoopbackPort port_;
  std::vector<matrixos::FileDescriptor> fillers_;
};

/// Starts instances when the test says so.
class FakeWaker final : public matrixos::proxy::Waker {
public:
  std::uint64_t ensureRunning(std::string_view handle, std::string_view endpoint, std::chrono::milliseconds deadline,
                              Done done) override;
  void forget(std::uint64_t ticket) noexcept override;
  /// Answers all that wait.
  void answer(const matrixos::proxy::WakeResult &result);
  std::size_t waiting() const;
  std::atomic<int> calls{0};
  std::atomic<int> forgotten{0};
  /// Called instead of waiting, when set.
  std::function<matrixos::proxy::WakeResult(const std::string &handle)> instant;

private:
  mutable std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, Done> pending_;
};

/// A record without endpoints.
matrixos::InstanceRecord recordOf(const std::string &handle, const std::string &status, std::uint64_t rev);

/// {"instance": …, "phases": …} as lifecycle answers.
std::string wakeJson(const std::string &handle, std::uint16_t port, std::uint64_t rev = 2);

struct ProxyFixture {
  explicit ProxyFixture(const std::function<void(matrixos::proxy::ProxyOptions &)> &change = {}, bool withWaker = true);
  ~ProxyFixture();

  /// status "running": with both endpoints at 127.0.0.1 and these ports.
  void instance(const std::string &handle, const std::string &status, std::uint16_t shell = 0,
                std::uint16_t gateway = 0, std::uint64_t rev = 1);
  Conn connect() { return Conn::to(port); }
  /// Requests and WebSockets that count as being in flight to an instance.
  std::size_t inFlight(const std::string &handle);
  /// Changes the options of the running proxy. When that throws, they stay as they were.
  void reconfigure(const std::function<void(matrixos::proxy::ProxyOptions &)> &change);

  matrixos::proxy::ProxyOptions options;
  matrixos::proxy::RouteTable routes;
  FakeWaker waker;
  std::unique_ptr<matrixos::proxy::Proxy> proxy;
  std::uint16_t port = 0;
};

} // namespace kit
