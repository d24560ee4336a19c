#pragma once

#include "http/ApiServer.h"
#include "http/Dispatcher.h"
#include "http/ExchangeTable.h"
#include "http/Site.h"

#include <http/engine/Server.h>

#include <atomic>
#include <shared_mutex>

namespace matrixos::api {

/// What the parts of the server share. Outlives the ApiServer while a handler hangs.
class ApiServer::Core final : public http::SessionFactory, public std::enable_shared_from_this<Core> {
public:
  explicit Core(ApiServerOptions given);

  std::unique_ptr<http::Session> makeSession(http::Loop &loop, const Address &peer) override;

  const ApiServerOptions options;
  const http::HeadLimits headLimits; ///< what of a head the engine takes
  const http::DomainNames names;     ///< sites by hosts
  Router router;
  RateLimiter limiter; ///< on the loop
  ExchangeTable exchanges;
  const std::shared_ptr<StreamBudget> streams;
  const std::shared_ptr<Dispatcher> dispatcher;
  std::unique_ptr<http::Server> server;
  std::atomic<bool> stopping{false};

  /// Calls the hooks of the options, until silence().
  void report(const AccessRecord &record);
  void reportFault(const std::string &what, const AccessRecord &record);
  /// After it returns no hook runs or will run: whoever they belong to may go, although a worker was abandoned.
  void silence();

private:
  std::shared_mutex hooks_;
  bool silent_ = false;
};

} // namespace matrixos::api
