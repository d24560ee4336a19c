/// The data plane without the plugin around it.
#pragma once

#include "AccessLog.h"
#include "Figures.h"
#include "Instances.h"
#include "Owners.h"
#include "RateLimits.h"
#include "ledger/Ledger.h"
#include "ledger/Reports.h"
#include "money/MessageRequest.h"
#include "money/OutputHistory.h"
#include "money/PriceTable.h"
#include "upstream/Endpoints.h"

#include <http/engine/Server.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace matrixos::gateway {

/// Of a listener that containers can reach: it serves this machine and our instances, and nobody else.
inline constexpr int kContainersTag = 1;

struct GatewayOptions {
  http::ServerOptions server{};
  std::vector<std::string> upstreams;
  std::string caFile; ///< PEM certificates that are believed beside the system's
  std::string caPem;  ///< what that file held when it was read, to see that it is another one now
  std::shared_ptr<const KeyList> keys = std::make_shared<KeyList>(); ///< never null
  Secret adminSecret;
  std::shared_ptr<const PriceTable> prices; ///< never null
  RequestRules rules{};
  bool refuseUnknownModel = false;
  bool ownKeys = true;
  std::uint64_t maxBody = 32U << 20U;
  RateSettings rates{};
  std::chrono::milliseconds drain{10'000}; ///< for the rest of an answer whose client has left
  std::uint64_t drainBytes = 1U << 20U;
  std::vector<std::string> passed; ///< see findRoute()
  bool accessLog = true;
};

/// What may change while the gateway runs. Immutable: a change replaces it as a whole, on each loop between two events.
struct Settings {
  GatewayOptions options;
  std::shared_ptr<Endpoints> endpoints;
};

/// What lies behind the gateway; all of it outlives it and is thread-safe.
struct Surroundings {
  Ledger &ledger;
  Instances &instances;
  const Reports &reports;
  FindOwner findOwner;
  /// Runs a task on a thread that may block, or destroys it unrun. Throws matrixos::Error when there is no place.
  std::function<void(std::function<void()>)> work;
};

/// What the sessions of all loops share. Thread-safe.
struct Shared {
  Shared(Surroundings around, const mos_host_v1 *host) : to(std::move(around)), figures(host), log(host) {}

  const Surroundings to;
  RateLimits rates;
  std::mutex outputsMutex;
  OutputHistory outputs;
  Figures figures;
  AccessLog log;
  std::atomic<std::uint64_t> bodyBytes{0}; ///< of requests that are kept
};

/// What the sessions of one loop share. That loop's thread only.
struct LoopState {
  LoopState(const FindOwner &find, std::shared_ptr<const Settings> chosen);
  /// "req_mx" and 24 hexadecimal digits.
  std::string makeId();
  /// A traceparent of a new trace (http/codec/Traceparent.h).
  std::string makeTrace();

  std::shared_ptr<const Settings> settings;
  OwnerCache owners;
  std::mt19937_64 random;
};

/// Listens, and serves. start(), reconfigure(), listen() and stop() belong to one thread at a time.
class Gateway final : public http::SessionFactory {
public:
  /// Binds nothing yet unless the options say so. Throws matrixos::Error.
  Gateway(const GatewayOptions &options, Surroundings around, std::shared_ptr<http::Resolver> resolver,
          const mos_host_v1 *host);
  ~Gateway() override;

  void start() { server_->start(); }
  /// Takes other options, also for listening, see http::Server::reconfigure(). Throws matrixos::Error; then nothing has
  /// changed.
  void reconfigure(const GatewayOptions &options);
  /// The same for where it listens alone.
  void listen(const std::vector<http::ListenerOptions> &addresses);
  /// Waits for open exchanges until the deadline, then closes what is left.
  void stop(std::chrono::milliseconds drain);

  const std::vector<Address> &addresses() const noexcept { return server_->addresses(); }
  /// [any-thread]
  std::size_t connections() const noexcept { return server_->connections(); }
  /// Writes what is to be logged and how things stand. [any-thread], one call at a time.
  void report();

  std::unique_ptr<http::Session> makeSession(http::Loop &loop, const Address &peer) override;
  bool isFront(http::Loop &loop, const Address &peer) override;

private:
  std::shared_ptr<const Settings> settingsOf(const GatewayOptions &options, const Settings *before) const;
  std::shared_ptr<const Settings> settings() const;

  const std::shared_ptr<http::Resolver> resolver_;
  Shared shared_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Settings> settings_; // the latest
  std::unique_ptr<http::Server> server_;
  std::vector<std::unique_ptr<LoopState>> loops_;
};

} // namespace matrixos::gateway
