#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::api {

/// Who added routes. 0 is the daemon itself; the plugin host numbers its plugins.
using OwnerId = std::uint64_t;

class ApiExchange;

/// One route of the API.
struct Route {
  std::string method;
  /// "/containers/:handle" binds one segment; a last "*name" binds the rest of the path, one segment or more.
  /// "//console/users" is a page of the site console, a host of its own; see siteOf().
  std::string pattern;
  /// See auth::isPermission(); or that of the metrics.
  std::string permission;
  /// One line for the route table that operators see.
  std::string summary;
  /// Bytes of the largest body; 0 = no body is accepted.
  std::uint64_t maxBody = 0;
  /// Answers the exchange now, or later from any thread. Called on a worker, where blocking is allowed. An exception
  /// becomes an answer: an Error by its status, anything else 500.
  std::function<void(const std::shared_ptr<ApiExchange> &)> handle;
  /// More about it, for OpenAPI: an Operation Object as JSON, or empty. Changed by describe(), under the router's lock.
  std::string operation{};
};

/// Which limits count requests to a route, see RateLimiter.
enum class RouteClass : std::uint8_t {
  Plain,
  SignIn,  ///< public, at or below /auth; what comes of it its owner tells the audit log
  Webhook, ///< public, at or below /webhooks
  Free     ///< the daemon's own /health, /ready and /metrics
};

/// A route as it stands in the table.
struct RouteEntry {
  Route route;
  OwnerId owner = 0;
  RouteClass kind = RouteClass::Plain;
  /// Names bound by the pattern, in order.
  std::vector<std::string> names;
  /// Set once the owner's routes are removed, for requests that had found it just before.
  std::atomic<bool> removed{false};
};

/// What a path and a method lead to.
struct RouteMatch {
  /// Null: see allow.
  std::shared_ptr<RouteEntry> entry;
  /// Values of entry->names, in order.
  std::vector<std::string> values;
  /// When there is no entry: methods that the path knows, for 405 and OPTIONS; empty for 404.
  std::vector<std::string> allow;
};

/// What operators and tests see of a route.
struct RouteInfo {
  std::string method;
  std::string pattern;
  std::string permission;
  std::string summary;
  std::string operation;
  std::uint64_t maxBody;
  OwnerId owner;
};

/// The route table. Lookups work on an immutable snapshot, so they never wait for a change. Any thread.
///
/// A static segment beats a parameter, a parameter beats the rest; the most specific pattern that has the method wins.
/// HEAD is served by GET's route unless it has its own.
class Router {
public:
  Router();
  ~Router();

  /// Adds all routes or none. Throws Error: InvalidArgument for a malformed route, AlreadyExists when a method and
  /// pattern (whatever its names) are taken.
  void add(OwnerId owner, std::vector<Route> routes);

  /// Removes what the owner added; returns how many routes that were. Their places are kept for whoever adds them
  /// again; until then find() gives entries marked removed, which the server answers 503 instead of 404.
  std::size_t remove(OwnerId owner);

  /// Says more about one of the owner's routes. Throws Error(NotFound) when it has none like that.
  void describe(OwnerId owner, std::string_view method, std::string_view pattern, std::string operation);

  /// Whether somebody has, or had, routes of that site.
  bool hasSite(std::string_view site) const;

  /// `segments` comes from decodePath(); on a site its siteSegment() stands in front.
  RouteMatch find(std::string_view method, const std::vector<std::string> &segments) const;

  /// All live routes by pattern and method.
  std::vector<RouteInfo> list() const;

private:
  struct Node;
  using Entries = std::vector<std::shared_ptr<RouteEntry>>;
  struct Table;

  static std::shared_ptr<const Table> build(Entries entries);
  std::shared_ptr<const Table> snapshot() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const Table> table_;
};

} // namespace matrixos::api
