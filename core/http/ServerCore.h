#pragma once

#include "http/Admission.h"
#include "http/ApiServer.h"
#include "http/ExchangeTable.h"

#include <Poco/Net/HTTPServer.h>
#include <Poco/ThreadPool.h>

#include <set>
#include <shared_mutex>

namespace matrixos::api {

/// What the parts of the server share. Outlives the ApiServer while an abandoned worker still runs.
class ApiServer::Core {
public:
  explicit Core(ApiServerOptions given);

  ApiServerOptions options;
  Router router;
  ExchangeTable exchanges;
  std::shared_ptr<StreamBudget> streams;
  std::shared_ptr<AdmissionQueue> queue;
  std::shared_ptr<Lobby> lobby;
  std::vector<std::string> addresses;
  std::vector<std::uint16_t> ports;
  std::unique_ptr<Poco::ThreadPool> pool;
  std::unique_ptr<Poco::Net::HTTPServer> server;
  std::atomic<bool> stopping{false};

  /// Connections that workers are busy with, for stop().
  void enter(Connection &connection);
  void exit(Connection &connection);
  void abortAll();

  /// Calls the hooks of the options, until silence().
  void report(const AccessRecord &record);
  void reportFault(const std::string &what, const AccessRecord &record);
  /// After it returns no hook runs or will run: whoever they belong to may go, although a worker was abandoned.
  void silence();

private:
  std::shared_mutex hooks_;
  bool silent_ = false;
  std::mutex mutex_;
  std::set<Connection *> active_;
};

/// Serves one admitted request on the calling worker thread, and says what becomes of the connection. Throws nothing.
After serveRequest(ApiServer::Core &core, Connection &connection);

} // namespace matrixos::api
