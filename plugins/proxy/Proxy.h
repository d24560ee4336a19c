/// Proxy.h: the data plane without the plugin around it.
#pragma once

#include "AllowedOrigins.h"
#include "HeaderPolicy.h"
#include "HostRouter.h"
#include "PolicyChain.h"
#include "RouteTable.h"
#include "Telemetry.h"
#include "Waker.h"

#include <matrixos/cache_line.hpp>

#include <http/engine/Server.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

namespace matrixos::proxy {

/// What a platform host serves below /proxy/{handle}/. A tenant's document there would be one of the API's origin.
enum class PathMode {
  Redirect, ///< a navigation is sent to the instance's own host, the rest is served without that origin's rights
  Api,      ///< all is served without them
  Off,      ///< nothing
};

struct ProxyOptions {
  http::ServerOptions server;
  std::string domain;
  std::string consoleHost; ///< of the site "console"; empty: console.<domain>
  std::string apiSocket;   ///< path; empty: the API is not reachable through the proxy
  std::string secret;      ///< the platform's bearer token
  std::string metricsToken;
  std::vector<std::string> sites; ///< hosts of plugins' own: "console"
  std::vector<std::string> trustedPeers;
  std::vector<std::string> allowedOrigins;
  ClientAddress clientAddress = ClientAddress::XForwardedFor;
  PathMode pathMode = PathMode::Redirect;
  std::chrono::milliseconds wakeDeadline{90'000};
  std::chrono::milliseconds waitingPageAfter{1'000}; ///< then a browser gets the waiting page
  std::chrono::milliseconds reconnectBackoff{std::chrono::minutes(30)};
  std::size_t waitersPerInstance = 64;
  std::size_t waiters = 1024;
  std::size_t requestsPerInstance = 512;
  std::size_t webSocketsPerInstance = 1024;
  std::uint64_t maxInstanceBody = UINT64_MAX; ///< server.maxBody is the larger of both
  std::uint64_t maxApiBody = UINT64_MAX;
  std::shared_ptr<const PolicyChain> policies = std::make_shared<PolicyChain>(); ///< never null
  bool accessLog = true;
  std::chrono::milliseconds drain{5'000}; ///< for what runs on an address that is no longer its instance's
};

/// What may change while the proxy runs. Immutable: a change replaces it as a whole, on each loop between two events.
struct Settings {
  /// Throws matrixos::Error for a bad entry of trusted_peers or allowed_origins.
  Settings(const ProxyOptions &chosen, std::uint64_t number);

  const ProxyOptions options;
  const HeaderPolicy headers;
  const AllowedOrigins origins;
  const std::uint64_t generation; ///< rises with every change
};

/// Requests and WebSockets of instances that a loop has in flight. The loop writes, all read.
struct alignas(kCacheLine) BusyCount {
  std::atomic<std::size_t> value{0};
};

/// What the sessions of all loops share. Thread-safe.
struct Shared {
  Shared(const ProxyOptions &options, RouteTable &routes, Waker *waker);

  const HostRouter router;
  RouteTable &routes;
  Waker *const waker;                        ///< null: nobody starts instances
  const std::shared_ptr<WakeGate> gate;      ///< outlives everything as long as a wake is under way
  std::shared_ptr<const http::Upstream> api; ///< null: none
  std::vector<BusyCount> busy;               ///< by loop
};

/// What the sessions of one loop share. That loop's thread only, but for telemetry.
struct LoopState {
  LoopState(const RouteTable &table, std::shared_ptr<const Settings> chosen, BusyCount &count);
  void use(std::shared_ptr<const Settings> chosen) noexcept;
  /// Makes the text 32 hexadecimal digits, never all zero.
  void makeId(std::string &out);

  std::shared_ptr<const Settings> settings; ///< a session that keeps anything of it looks at its generation
  RouteCache routes;
  LoopTelemetry telemetry;
  BusyCount &busy;
  std::mt19937_64 random;
  std::vector<mos_pair> policyFields; ///< of the request that policies are asked about
};

/// Listens, routes, wakes and forwards. start(), reconfigure() and stop() belong to one thread.
class Proxy final : public http::SessionFactory {
public:
  /// Binds. Throws matrixos::Error. The references outlive the proxy.
  Proxy(const ProxyOptions &options, RouteTable &routes, Waker *waker);
  ~Proxy() override;

  void start() { server_->start(); }
  /// Takes other options while it runs, see http::Server::reconfigure(); `domain` and `apiSocket` stay. Throws
  /// matrixos::Error; then nothing has changed.
  void reconfigure(const ProxyOptions &options);
  /// The same of the policies alone.
  void use(std::shared_ptr<const PolicyChain> policies, std::vector<std::string> sites);
  const std::vector<std::string> &sites() const noexcept { return settings_->options.sites; }
  const PolicyChain &policies() const noexcept { return *settings_->options.policies; }
  /// Waits for open exchanges until the deadline, then closes what is left.
  void stop(std::chrono::milliseconds drain);

  const std::vector<Address> &addresses() const noexcept { return server_->addresses(); }
  /// [any-thread]
  std::size_t connections() const noexcept { return server_->connections(); }
  std::size_t waiting() const { return shared_.gate->waiting(); }
  /// [any-thread] See http::Server.
  http::Server::AcceptFailures takeAcceptFailures() noexcept { return server_->takeAcceptFailures(); }
  /// Everything that was counted since the last call. One call at a time.
  Batch collect();

  std::unique_ptr<http::Session> makeSession(http::Loop &loop, const Address &peer) override;
  bool isFront(http::Loop &loop, const Address &peer) override;

private:
  std::shared_ptr<const Settings> settings_; // the latest
  std::atomic<std::chrono::milliseconds> drain_;
  Shared shared_;
  std::unique_ptr<http::Server> server_;
  std::vector<std::unique_ptr<LoopState>> loops_;
  std::unordered_set<std::shared_ptr<ActivityCell>> open_; // those with exchanges under way; of collect() alone
};

} // namespace matrixos::proxy
