#pragma once

#include <matrixos/call.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::docker {

/// Where an engine listens.
struct EngineEndpoint {
  std::string socketPath; ///< absolute path of a unix socket, or empty for TCP
  std::string host;       ///< a loopback address, when TCP
  std::uint16_t port = 0;

  /// Reads "unix:/var/run/docker.sock" or "tcp://127.0.0.1:2375". TCP is plain HTTP and whoever reaches it is root,
  /// so only loopback is accepted. Throws Error(InvalidArgument).
  static EngineEndpoint parse(std::string_view text);
  /// As an operator would write it.
  std::string text() const;
};

/// One request to the engine.
struct EngineRequest {
  std::string method;
  std::string path;                          ///< with query, every part already percent-encoded
  std::string body;                          ///< JSON, or empty for none
  std::vector<std::string> headers;          ///< "Name: value", beside those of the transport
  std::size_t maxBytes = 32U * 1024 * 1024;  ///< cap of a collected answer
  std::chrono::milliseconds timeout{30'000}; ///< whole exchange; 0: none beside the call's own deadline
  std::chrono::milliseconds maxSilence{0};   ///< longest time without a byte; 0: any

  /// "GET /containers/x/json", for messages: without version prefix and query.
  std::string title() const;
};

/// A complete answer.
struct EngineResponse {
  int status = 0;
  std::string body;       ///< empty when it was streamed
  std::string apiVersion; ///< the Api-Version header, or empty
  bool stopped = false;   ///< the receiver of a stream ended it
};

/// HTTP/1.1 to one engine: keeps connections, honours deadline and cancellation of the call, and takes an answer as
/// complete only when its framing says so. Thread-safe; a connection serves one exchange at a time.
///
/// Fails with Error: Unavailable/ENGINE_UNREACHABLE (nobody there, gone away, silent), PermissionDenied/ENGINE_DENIED,
/// Unavailable/ENGINE_REPLY (broken off, oversized or malformed answer), Cancelled, DeadlineExceeded. HTTP statuses
/// are no failures here.
class EngineHttp {
public:
  /// Receives parts of a 2xx body in order; answers false to end the exchange. May throw.
  using BytesFn = std::function<bool(std::string_view)>;

  /// Told of each finished exchange: how long it took, and "ok", "refused" (an HTTP error), "unreachable", "denied",
  /// "reply" or "given_up". Called on the exchange's thread; must not throw.
  using ObserverFn = std::function<void(double seconds, const char *outcome)>;

  explicit EngineHttp(EngineEndpoint endpoint, ObserverFn observer = {});
  EngineHttp(const EngineHttp &) = delete;
  EngineHttp &operator=(const EngineHttp &) = delete;
  ~EngineHttp();

  const EngineEndpoint &endpoint() const noexcept { return endpoint_; }

  EngineResponse send(const Call &call, const EngineRequest &request);
  /// Like send, but a 2xx body goes to `bytes` as it comes. Other bodies are collected.
  EngineResponse stream(const Call &call, const EngineRequest &request, const BytesFn &bytes);

  /// Ends all exchanges, now and in future, with Unavailable/STOPPING.
  void shutdown() noexcept;

private:
  struct Connection;
  struct Transfer;
  class Lease;

  EngineResponse observed(const Call &call, const EngineRequest &request, const BytesFn *bytes);
  EngineResponse exchange(const Call &call, const EngineRequest &request, const BytesFn *bytes);
  void prepare(Connection &connection, Transfer &transfer) const;
  void drive(const Call &call, Connection &connection, Transfer &transfer) const;
  std::chrono::milliseconds checkTime(const Call &call, const Transfer &transfer) const;
  [[noreturn]] void throwTransport(int code, Connection &connection, const Transfer &transfer) const;
  [[noreturn]] void throwUnconnected(long osError, const std::string &what) const;
  std::unique_ptr<Connection> take();
  void giveBack(std::unique_ptr<Connection> connection) noexcept;

  const EngineEndpoint endpoint_;
  const ObserverFn observer_;
  const int stopFd_; ///< an eventfd, readable once shut down
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

} // namespace matrixos::docker
