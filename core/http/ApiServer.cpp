#include "http/ApiServer.h"

#include "http/ApiSession.h"
#include "http/ServerCore.h"

#include <utility>

namespace matrixos::api {

namespace {

/// After the patience of stop() and removeRoutes(): for answers 503 to go out, and for handlers to notice.
constexpr std::chrono::milliseconds kCancelGrace{1000};
constexpr std::chrono::milliseconds kAbortGrace{1000};
constexpr std::chrono::milliseconds kRetry{50};
/// Bytes per second of a body, once it has taken as long as the time between two pieces may be.
constexpr std::uint64_t kMinBodyRate = 1024;
constexpr mode_t kAdminMode = 0600;

http::HeadLimits limitsOf(const ApiServerOptions &options) {
  http::HeadLimits limits;
  limits.bytes = options.maxHead;
  limits.hostOptional = true;
  return limits;
}

http::ServerOptions engineOptions(const ApiServerOptions &options) {
  http::ServerOptions engine;
  for (const ApiListener &listener : options.listen) {
    http::ListenerOptions address(listener.address);
    address.tag = static_cast<int>(listener.socket);
    if (listener.socket == auth::ApiSocket::Admin) address.unixMode = kAdminMode;
    engine.listen.push_back(std::move(address));
  }
  engine.loops = 1;
  engine.threadName = "api";
  engine.request = limitsOf(options);
  engine.bufferSize = 2 * options.maxHead;
  engine.maxConnections = options.maxConnections;
  engine.shedIdle = true;
  engine.minBodyRate = kMinBodyRate;
  engine.timeouts.header = options.headTimeout;
  engine.timeouts.keepAlive = options.idleTimeout;
  engine.timeouts.requestBody = options.bodyTimeout;
  engine.timeouts.ownAnswer = options.sendTimeout;
  engine.timeouts.halfClosedHold = std::chrono::milliseconds(500);
  engine.timeouts.lastCall = std::chrono::milliseconds(50);
  return engine;
}

} // namespace

ApiServer::Core::Core(ApiServerOptions given)
    : options(std::move(given)), headLimits(limitsOf(options)), names(options.domain, options.consoleHost),
      limiter(options.limits), streams(std::make_shared<StreamBudget>(options.maxStreams)),
      dispatcher(std::make_shared<Dispatcher>(
          Dispatcher::Options{options.workers, options.reserve, options.perOwner, options.backlog})) {
  if (!options.authenticator) throw Error(Status::InvalidArgument, "the API needs an authenticator");
  server = std::make_unique<http::Server>(engineOptions(options), *this);
}

std::unique_ptr<http::Session> ApiServer::Core::makeSession(http::Loop &, const Address &) {
  return std::make_unique<ApiSession>(shared_from_this());
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
  core_->server->start();
}

bool ApiServer::stop(std::chrono::milliseconds patience) {
  if (core_->stopping.exchange(true)) return true;
  Dispatcher &dispatcher = *core_->dispatcher;
  core_->server->drain(std::chrono::milliseconds(0));
  bool empty = dispatcher.waitEmpty(Clock::now() + patience);
  for (auto end = Clock::now() + kCancelGrace; !empty && Clock::now() < end;) {
    core_->exchanges.cancel(nullptr, stoppingProblem());
    empty = dispatcher.waitEmpty(Clock::now() + kRetry);
  }
  // Idle connections end within moments; what does not is a client that takes its answer slowly, or sends one.
  core_->server->drain(patience.count() == 0 ? std::chrono::milliseconds(0) : kAbortGrace);
  core_->server->stop();
  const bool idle = dispatcher.stop(Clock::now() + kAbortGrace);
  core_->silence();
  return idle;
}

std::vector<std::string> ApiServer::addresses() const {
  std::vector<std::string> addresses;
  for (const Address &address : core_->server->addresses())
    addresses.push_back(address.text());
  return addresses;
}

std::uint16_t ApiServer::port(std::size_t listener) const {
  return core_->server->addresses().at(listener).port();
}

void ApiServer::setLimits(const LimitRates &limits) {
  core_->limiter.setRates(limits);
}

void ApiServer::addRoutes(OwnerId owner, std::vector<Route> routes) {
  core_->router.add(owner, std::move(routes));
}

void ApiServer::describeRoute(OwnerId owner, std::string_view method, std::string_view pattern, std::string operation) {
  core_->router.describe(owner, method, pattern, std::move(operation));
}

bool ApiServer::removeRoutes(OwnerId owner, std::chrono::milliseconds patience) {
  core_->router.remove(owner);
  bool idle = core_->dispatcher->waitIdle(owner, Clock::now() + patience);
  for (auto end = Clock::now() + kCancelGrace; !idle && Clock::now() < end;) {
    core_->exchanges.cancel(&owner, routeRemovedProblem());
    idle = core_->dispatcher->waitIdle(owner, Clock::now() + kRetry);
  }
  if (idle) core_->exchanges.purge(owner);
  return idle;
}

std::vector<RouteInfo> ApiServer::listRoutes() const {
  return core_->router.list();
}

std::shared_ptr<ApiExchange> ApiServer::findExchange(std::uint64_t id) const {
  return core_->exchanges.find(id);
}

void ApiServer::forgetExchange(std::uint64_t id) {
  core_->exchanges.forget(id);
}

std::size_t ApiServer::openRequests() const {
  return core_->dispatcher->open();
}

} // namespace matrixos::api
