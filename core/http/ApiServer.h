#pragma once

#include "auth/Authenticator.h"
#include "auth/Identities.h"
#include "http/ApiExchange.h"
#include "http/AuditTrail.h"
#include "http/RateLimiter.h"
#include "http/Router.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::api {

/// What is known of a request once it is over, for access logs and metrics.
struct AccessRecord {
  std::string method; ///< empty for a request that was refused before it was understood
  std::string path;   ///< as it was sent, without the query
  std::string route;  ///< pattern of the route, a bounded label; empty when none was found
  int status = 0;     ///< 0: the client had gone before an answer began
  std::chrono::microseconds duration{0};
  std::uint64_t bytesIn = 0; ///< payload
  std::uint64_t bytesOut = 0;
  std::string requestId;
  std::string principal;
  std::string_view limit; ///< that refused it, one of kLimitNames; else empty
  std::string limited;    ///< whom that limit counts: a principal, or a client's address
};

/// Where the API listens: `unix:<path>` or `address:port`.
struct ApiListener {
  std::string address;
  auth::ApiSocket socket = auth::ApiSocket::Api;
};

struct ApiServerOptions {
  std::vector<ApiListener> listen;
  std::string domain;      ///< of the platform: sites stand below it
  std::string consoleHost; ///< of the site "console"; empty: console.<domain>
  std::shared_ptr<const auth::Authenticator> authenticator;
  std::shared_ptr<auth::Identities> identities; ///< null: nobody is known but by the secret
  LimitRates limits{};                          ///< until setLimits(); none
  std::shared_ptr<AuditTrail> audit;            ///< null: nobody keeps what people do
  int workers = 64;                             ///< threads that run handlers
  int reserve = 0;                              ///< workers on top, which only routes of the daemon itself can hold
  int perOwner = 0; ///< requests of one owner's routes that are handled at once; 0: any. The daemon's own do not count
  int backlog = 64; ///< requests beyond the workers; above both 503
  int maxStreams = 32; ///< answers that stream at once
  std::size_t maxConnections = 2048;
  std::size_t maxHead = 32 * 1024;                   ///< bytes of a request head: 431
  std::chrono::milliseconds headTimeout{10000};      ///< a whole request head, from its first byte
  std::chrono::milliseconds idleTimeout{15000};      ///< a connection without any byte
  std::chrono::milliseconds bodyTimeout{10000};      ///< between two pieces of a body
  std::chrono::milliseconds sendTimeout{30000};      ///< a client that takes nothing of its answer
  std::chrono::milliseconds exchangeTimeout{900000}; ///< a handler that does not answer; then 504
  /// Called after each request, on the loop. Must not block; may be empty.
  std::function<void(const AccessRecord &)> onAccess;
  /// Told what a handler threw that is no Error: the client only sees a 500 with the request id. May be empty.
  std::function<void(const std::string &what, const AccessRecord &)> onFault;
};

/// The daemon's API on the HTTP engine: one loop for connections, a bounded pool of workers for handlers.
///
/// A request passes: the engine's strict parser → ApiSession on the loop: path, route (404, 405), permission (401,
/// 403), body (413, 400, 408) → Dispatcher: a place in its owner's share, a worker (503) → handler. A plugin whose
/// handlers hang holds its share and no more: beyond it, 503 after a short wait. Every answer carries X-Request-Id,
/// `Cache-Control: no-store` and `X-Content-Type-Options: nosniff`; every failure is application/problem+json. All
/// methods: any thread, but start() and stop() are called once each, in this order.
class ApiServer {
public:
  /// Binds all listeners, so that wrong addresses fail at start; clients that connect before start() wait. Throws
  /// matrixos::Error that names the address and the reason.
  explicit ApiServer(ApiServerOptions options);
  /// Stops at once if stop() was not called.
  ~ApiServer();
  ApiServer(const ApiServer &) = delete;
  ApiServer &operator=(const ApiServer &) = delete;

  void start();

  /// Stops accepting and waits up to `patience` for the open exchanges; then answers what is open with 503, cuts
  /// streams, and after a short grace breaks the remaining connections. Never hangs: a handler that does not return
  /// keeps its thread for itself. True when none did.
  bool stop(std::chrono::milliseconds patience);

  /// The addresses that were bound, in the order of the options, with real ports.
  std::vector<std::string> addresses() const;
  /// The port of that listener; 0 for a unix socket.
  std::uint16_t port(std::size_t listener = 0) const;

  /// Requests beyond these rates are answered 429 from now on, but for those with the platform's secret, on the admin
  /// socket, and of routes that are RouteClass::Free.
  void setLimits(const LimitRates &limits);

  /// See Router::add() and describe().
  void addRoutes(OwnerId owner, std::vector<Route> routes);
  void describeRoute(OwnerId owner, std::string_view method, std::string_view pattern, std::string operation);

  /// Takes the owner's routes out at once, waits up to `patience` for its open exchanges, then answers them 503. True
  /// when no worker is inside the owner's handlers any more; text borrowed from its exchanges is then gone.
  bool removeRoutes(OwnerId owner, std::chrono::milliseconds patience);

  std::vector<RouteInfo> listRoutes() const;

  /// The exchange behind a number, or null when it is stale.
  std::shared_ptr<ApiExchange> findExchange(std::uint64_t id) const;
  /// Makes the number of an answered exchange stale.
  void forgetExchange(std::uint64_t id);

  /// Requests waiting or being answered right now.
  std::size_t openRequests() const;

  class Core;

private:
  std::shared_ptr<Core> core_;
};

} // namespace matrixos::api
