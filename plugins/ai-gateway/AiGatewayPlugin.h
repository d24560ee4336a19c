/// The gateway as a plugin of the daemon.
#pragma once

#include "Gateway.h"
#include "Section.h"
#include "ledger/UsageRoutes.h"

#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::gateway {

class AiGatewayPlugin final : public Plugin {
public:
  explicit AiGatewayPlugin(const mos_host_v1 *host);
  ~AiGatewayPlugin() override;

  void start() override;
  void stop() override { end(config_.getDuration("drain_timeout")); }
  void reconfigure() override;
  static void check(const Config &config, Problems &problems) { checkSection(config, problems); }

private:
  std::optional<Owner> findOwner(std::string_view token) const;
  void watchInstances();
  /// Listens where it should and does not yet. `mayAsk`: also asks the runtime, which may take a while.
  void listen(bool mayAsk);
  std::vector<http::ListenerOptions> wantedAddresses() const;
  /// Where containers reach this machine; nothing: the runtime does not say.
  std::optional<Address> askHostGateway() const;
  void showTrouble();
  void end(std::chrono::milliseconds drain) noexcept;

  const mos_host_v1 *host_;
  Config config_;
  Platform platform_;
  Log log_;
  Services services_;
  Timers timers_;
  Executor executor_;
  std::shared_ptr<http::Resolver> resolver_;
  std::optional<OrchestratorClient> orchestrator_;
  const GatewayTable registered_;
  std::unique_ptr<Instances> instances_;
  std::unique_ptr<Ledger> ledger_; // it and what looks into it stay until no task of the executor runs any more
  std::unique_ptr<Reports> reports_;
  std::unique_ptr<UsageRoutes> routes_;
  std::unique_ptr<Gateway> gateway_;
  std::optional<std::uint64_t> watch_;
  std::mutex changing_; ///< one change at a time
  bool ending_ = false;
  int ticks_ = 0;
  std::optional<Address> hostGateway_; ///< what the runtime said last
  std::vector<http::ListenerOptions> bound_;
  std::mutex troubleMutex_;
  std::string listenTrouble_, keyTrouble_, ledgerTrouble_; ///< empty: none
  std::string shownTrouble_;
};

} // namespace matrixos::gateway
