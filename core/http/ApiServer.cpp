#include "http/ApiServer.h"

#include "http/ServerCore.h"

#include <matrixos/status.hpp>

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>

#include <new>
#include <utility>

namespace matrixos::api {

namespace {

/// After the patience of stop() and removeRoutes(): for answers 503 to go out, and for handlers to notice.
constexpr std::chrono::milliseconds kCancelGrace{1000};
constexpr std::chrono::milliseconds kAbortGrace{1000};
constexpr std::chrono::milliseconds kRetry{50};
/// How long a worker without work stays.
constexpr std::chrono::milliseconds kLinger{1000};

class WorkerHandler : public Poco::Net::HTTPRequestHandler {
public:
  explicit WorkerHandler(std::shared_ptr<ApiServer::Core> core) : core_(std::move(core)) {}

  void handleRequest(Poco::Net::HTTPServerRequest &request, Poco::Net::HTTPServerResponse &) override {
    auto &socket = dynamic_cast<Poco::Net::HTTPServerRequestImpl &>(request).socket();
    auto &admitted = dynamic_cast<AdmittedSocket &>(*socket.impl());
    admitted.begin();
    admitted.finish(serve(admitted.connection()));
    while (auto next = core_->queue->takeNext(kLinger)) {
      const After after = serve(*next);
      passOn(std::move(next), after, *core_->lobby, *core_->queue);
    }
  }

private:
  After serve(Connection &connection) {
    try {
      core_->enter(connection);
    } catch (const std::bad_alloc &) {
      return After::Close;
    }
    const After after = serveRequest(*core_, connection);
    core_->exit(connection);
    return after;
  }

  std::shared_ptr<ApiServer::Core> core_;
};

class WorkerFactory : public Poco::Net::HTTPRequestHandlerFactory {
public:
  explicit WorkerFactory(std::weak_ptr<ApiServer::Core> core) : core_(std::move(core)) {}

  Poco::Net::HTTPRequestHandler *createRequestHandler(const Poco::Net::HTTPServerRequest &) override {
    auto core = core_.lock();
    return core ? new WorkerHandler(std::move(core)) : nullptr;
  }

private:
  std::weak_ptr<ApiServer::Core> core_;
};

/// Servers with a worker that never came back. They are kept, because destroying what the worker still uses would turn
/// a hung plugin into a crash.
void keepForever(std::shared_ptr<ApiServer::Core> core) {
  static std::mutex mutex;
  static auto *kept = new std::vector<std::shared_ptr<ApiServer::Core>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(core));
}

std::size_t capacityOf(const ApiServerOptions &options) {
  if (options.workers < 1 || options.backlog < 0) {
    throw Error(Status::InvalidArgument, "the API needs at least one worker");
  }
  return static_cast<std::size_t>(options.workers) + static_cast<std::size_t>(options.backlog);
}

Lobby::Options lobbyOptions(const ApiServerOptions &options) {
  Lobby::Options lobby;
  lobby.limits = options.limits;
  lobby.headTimeout = options.headTimeout;
  lobby.idleTimeout = options.idleTimeout;
  lobby.maxConnections = options.maxConnections;
  if (options.onAccess) {
    lobby.onRefused = [onAccess = options.onAccess](int status, std::uint64_t bytes, const std::string &requestId) {
      AccessRecord record;
      record.status = status;
      record.bytes = bytes;
      record.requestId = requestId;
      onAccess(record);
    };
  }
  return lobby;
}

} // namespace

ApiServer::Core::Core(ApiServerOptions given)
    : options(std::move(given)), streams(std::make_shared<StreamBudget>(options.maxStreams)),
      queue(std::make_shared<AdmissionQueue>(capacityOf(options))),
      lobby(std::make_shared<Lobby>(lobbyOptions(options), queue)) {
  if (!options.authenticator) throw Error(Status::InvalidArgument, "the API needs an authenticator");
  for (const ListenAddress &listen : options.listen) {
    auto listener = std::make_unique<Listener>(listen.address, listen.door);
    addresses.push_back(listener->address());
    ports.push_back(listener->port());
    lobby->addListener(std::move(listener));
  }
  // Twice the workers: a dispatcher thread that ends counts as gone a moment before the pool can use it again.
  pool = std::make_unique<Poco::ThreadPool>("api", 2, 2 * (options.workers + options.reserve));
  exchanges.limit({options.perOwner, options.reserve > 0 ? options.workers : 0});
}

void ApiServer::Core::enter(Connection &connection) {
  const std::lock_guard lock(mutex_);
  active_.insert(&connection);
}

void ApiServer::Core::exit(Connection &connection) {
  const std::lock_guard lock(mutex_);
  active_.erase(&connection);
}

void ApiServer::Core::abortAll() {
  const std::lock_guard lock(mutex_);
  for (Connection *connection : active_)
    connection->abort();
}

void ApiServer::Core::report(const AccessRecord &record) {
  const std::shared_lock lock(hooks_);
  if (!silent_ && options.onAccess) options.onAccess(record);
}

void ApiServer::Core::reportFault(const std::string &what, const AccessRecord &record) {
  const std::shared_lock lock(hooks_);
  if (!silent_ && options.onFault) options.onFault(what, record);
}

void ApiServer::Core::silence() {
  const std::unique_lock lock(hooks_);
  silent_ = true;
}

ApiServer::ApiServer(ApiServerOptions options) : core_(std::make_shared<Core>(std::move(options))) {}

ApiServer::~ApiServer() {
  if (core_) stop(std::chrono::milliseconds(0));
}

void ApiServer::start() {
  Poco::Net::HTTPServerParams::Ptr params = new Poco::Net::HTTPServerParams;
  params->setKeepAlive(false); // for Poco every request is a connection; the lobby keeps the real ones
  params->setMaxThreads(core_->options.workers + core_->options.reserve);
  params->setMaxQueued(core_->options.workers + core_->options.backlog + 1); // the admission queue decides
  params->setThreadIdleTime(Poco::Timespan(1, 0));
  core_->server = std::make_unique<Poco::Net::HTTPServer>(new WorkerFactory(core_), *core_->pool,
                                                          AdmittedServerSocket(core_->lobby, core_->queue), params);
  core_->server->start();
  core_->lobby->start();
}

bool ApiServer::stop(std::chrono::milliseconds patience) {
  if (core_->stopping.exchange(true)) return true;
  core_->lobby->stopAccepting();
  const Problem stopping{503, "the server is stopping", "STOPPING", 1000, {}};
  bool empty = core_->queue->waitEmpty(Clock::now() + patience);
  for (auto end = Clock::now() + kCancelGrace; !empty && Clock::now() < end;) {
    core_->exchanges.cancel(nullptr, stopping);
    empty = core_->queue->waitEmpty(Clock::now() + kRetry);
  }
  for (auto end = Clock::now() + kAbortGrace; !empty && Clock::now() < end;) {
    core_->abortAll();
    empty = core_->queue->waitEmpty(Clock::now() + kRetry);
  }
  core_->queue->close(); // Poco's acceptor thread waits on it
  if (core_->server) core_->server->stop();
  core_->lobby->shutdown();
  if (!empty) {
    core_->silence();
    keepForever(core_);
    return false;
  }
  // Before the server is destroyed: its dispatcher must not die under a thread that is about to run it (poco#2085).
  core_->pool->joinAll();
  core_->server.reset();
  return true;
}

std::vector<std::string> ApiServer::addresses() const {
  return core_->addresses;
}

std::uint16_t ApiServer::port(std::size_t listener) const {
  return core_->ports.at(listener);
}

void ApiServer::addRoutes(OwnerId owner, std::vector<Route> routes) {
  core_->router.add(owner, std::move(routes));
}

bool ApiServer::removeRoutes(OwnerId owner, std::chrono::milliseconds patience) {
  core_->router.remove(owner);
  const Problem removed{503, "the part of the platform that serves this route was stopped", "ROUTE_REMOVED", 1000, {}};
  bool idle = core_->exchanges.waitIdle(owner, Clock::now() + patience);
  for (auto end = Clock::now() + kCancelGrace; !idle && Clock::now() < end;) {
    core_->exchanges.cancel(&owner, removed);
    idle = core_->exchanges.waitIdle(owner, Clock::now() + kRetry);
  }
  if (idle) core_->exchanges.purge(owner);
  return idle;
}

std::vector<RouteInfo> ApiServer::listRoutes() const {
  return core_->router.list();
}

std::shared_ptr<Exchange> ApiServer::findExchange(std::uint64_t id) const {
  return core_->exchanges.find(id);
}

void ApiServer::forgetExchange(std::uint64_t id) {
  core_->exchanges.forget(id);
}

std::size_t ApiServer::openRequests() const {
  return core_->queue->open();
}

} // namespace matrixos::api
