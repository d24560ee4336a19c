#pragma once

#include <matrixos/call.hpp>

#include <http/client/HttpClient.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

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

/// One request to the engine. A body is JSON.
struct EngineRequest : http::ClientRequest {
  /// Cuts the body of an error short: its start says enough.
  EngineRequest() { keptOfRefusal = 64U * 1024; }

  /// "GET /containers/x/json", for messages: without version prefix and query.
  std::string title() const;
};

/// HTTP/1.1 to one engine: a few kept connections, and the client's failures in the words and reasons of the runtime.
/// Thread-safe; a connection serves one exchange at a time.
///
/// Fails with Error: Unavailable/ENGINE_UNREACHABLE (nobody there, gone away, silent), PermissionDenied/ENGINE_DENIED,
/// Unavailable/ENGINE_REPLY (broken off, oversized or malformed answer), Cancelled, DeadlineExceeded. HTTP statuses
/// are no failures here.
class EngineHttp {
public:
  /// Told of each finished exchange: how long it took, and "ok", "refused" (an HTTP error), "unreachable", "denied",
  /// "reply" or "given_up". Called on the exchange's thread; must not throw.
  using ObserverFn = std::function<void(double seconds, const char *outcome)>;

  explicit EngineHttp(EngineEndpoint endpoint, ObserverFn observer = {});

  const EngineEndpoint &endpoint() const noexcept { return endpoint_; }

  http::ClientResponse send(const Call &call, const EngineRequest &request);
  /// Like send, but a 2xx body goes to `bytes` as it comes. Other bodies are collected.
  http::ClientResponse stream(const Call &call, const EngineRequest &request, const http::HttpClient::BytesFn &bytes);
  /// The same by lines; blank ones are left out.
  http::ClientResponse streamLines(const Call &call, const EngineRequest &request,
                                   const http::LineCutter::LineFn &line);

  /// Ends all exchanges, now and in future, with Unavailable/STOPPING.
  void shutdown() noexcept { client_.shutdown(); }

private:
  http::ClientResponse observed(const Call &call, const EngineRequest &request, auto &&exchange);
  [[noreturn]] void fail(const http::ClientError &error, const EngineRequest &request) const;
  [[noreturn]] void failUnconnected(bool denied, const std::string &what) const;

  const EngineEndpoint endpoint_;
  const http::BaseUrl url_;
  const ObserverFn observer_;
  http::HttpClient client_;
};

} // namespace matrixos::docker
