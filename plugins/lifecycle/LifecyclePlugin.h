#pragma once

#include "ActivityLedger.h"
#include "IdlePolicy.h"
#include "InstanceIndex.h"
#include "ReadinessProbe.h"
#include "Retirable.h"
#include "WakeCoordinator.h"

#include <matrixos/lifecycle.hpp>
#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::lifecycle {

/// The orchestrator as the lifecycle's parts see it.
class OrchestratorPlatform final : public Platform {
public:
  explicit OrchestratorPlatform(OrchestratorClient client) noexcept : client_(client) {}

  std::string fetch(std::string_view handle) override { return client_.get(handle); }
  void start(std::string_view handle, Then then) override;
  void stop(std::string_view handle, std::uint64_t ifActivitySeq, Then then) override;
  void record(const std::vector<PendingUse> &uses) override;

private:
  OrchestratorClient client_;
};

/// The plugin: connects the parts with the host, and is the service "matrixos.lifecycle/1".
class LifecyclePlugin final : public Plugin, private Lifecycle {
public:
  explicit LifecyclePlugin(const mos_host_v1 *host);
  ~LifecyclePlugin() override;

  void start() override;
  void stop() override;
  void reconfigure() override;

private:
  struct Meters {
    explicit Meters(const Metrics &metrics);
    Series queue, engine, ready, woken, startFailed, expired, waiting, slept, used, stopFailed, probes;
  };

  std::uint64_t ensureRunning(const Call &call, std::string_view handle, std::string_view endpoint,
                              Completion &done) override;
  void forget(std::uint64_t ticket) override;
  void reportActivity(const mos_activity *items, std::uint32_t count) override;
  std::string describe(std::string_view handle) override;
  void reportOpen(const mos_str *handles, std::uint32_t count) override;

  void tick();
  void flush();
  void onRecord(std::string_view json);
  void onWake(WakeCoordinator::Event event, const WakePhases &phases);
  void onIdle(std::string_view handle, IdlePolicy::Result result, const Error *error);
  IdlePolicy::Settings idleSettings() const;
  WakeCoordinator::Settings wakeSettings() const;
  /// False: somebody is still inside.
  bool shutDown() noexcept;

  const Config config_;
  const Log log_;
  const Services services_;
  const Meters meters_;
  Timers timers_;

  SystemClock clock_;
  InstanceIndex index_;
  ActivityLedger ledger_;
  std::optional<OrchestratorClient> orchestrator_;
  std::unique_ptr<OrchestratorPlatform> platform_;
  std::unique_ptr<ReadinessProbe> probe_;
  Retirable<WakeCoordinator> wakes_;
  Retirable<IdlePolicy> idle_;
  std::optional<std::uint64_t> watch_;
  std::uint64_t probesReported_ = 0; ///< of the tick alone
};

} // namespace matrixos::lifecycle
