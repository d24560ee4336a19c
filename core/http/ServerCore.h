#pragma once

#include "http/Admission.h"
#include "http/ApiServer.h"
#include "http/ExchangeTable.h"

#include <Poco/Net/HTTPServer.h>
#include <Poco/ThreadPool.h>

#include <set>

namespace matrixos::http {

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

private:
  std::mutex mutex_;
  std::set<Connection *> active_;
};

/// Serves one admitted request on the calling worker thread, and says what becomes of the connection. Throws nothing.
After serveRequest(ApiServer::Core &core, Connection &connection);

} // namespace matrixos::http
