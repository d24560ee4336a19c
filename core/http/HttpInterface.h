#pragma once

#include "http/ApiServer.h"

#include <matrixos/abi/host.h>

#include <atomic>
#include <functional>

namespace matrixos::api {

/// The table `matrixos.host.http/1` for one plugin, on top of an ApiServer.
///
/// Exceptions never cross it. The plugin host owns one per plugin and keeps it, and the server, until the plugin's code
/// can no longer call.
class HttpInterface {
public:
  struct Options {
    /// Routes are added under it; never 0 for plugins.
    OwnerId owner = 0;
    /// Runs one call of a route's handler, e.g. to leave a breadcrumb that names the plugin. Empty: plainly called.
    std::function<void(const std::function<void()> &call)> around;
    /// [api] public_routes: others that want to be public ask for an operator.
    std::vector<std::string> publicRoutes{};
    /// Throws Error for a pattern that is not the plugin's to serve. May be empty.
    std::function<void(const std::string &pattern)> admit{};
    /// Told of a route that wants to be public and may not. May be empty.
    std::function<void(const Route &route)> onNotPublic{};
  };

  HttpInterface(ApiServer &server, Options options);

  const mos_host_http_v1 *table() const { return &table_; }

  /// From now on every function answers MOS_UNAVAILABLE. Exchanges that the plugin still owes are left to
  /// ApiServer::removeRoutes().
  void close() { closed_ = true; }

private:
  struct Calls;

  ApiServer &server_;
  const Options options_;
  std::atomic<bool> closed_{false};
  mos_host_http_v1 table_{};
};

} // namespace matrixos::api
