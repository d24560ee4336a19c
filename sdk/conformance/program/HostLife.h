#pragma once

#include "HostWork.h"
#include "PluginConfig.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/abi/runtime.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::conformance {

/// What the host tells a plugin of itself.
struct HostFacts {
  std::string dataDirectory;
  std::string installId;
  bool verbose = false; ///< the plugin's log goes to stderr as well
};

/// The tables of abi/host.h for one life of one plugin. Has config, platform, log, metrics, events, timers, executor
/// and services; routes are accepted and never called; there is no sql.
///
/// Never freed: a plugin that keeps calling after its end finds a table that refuses, and that remembers the call.
class HostLife {
public:
  HostLife(HostWork &work, PluginConfig config, HostFacts facts);

  const mos_host_v1 *abi() const noexcept { return &host_; }
  /// Of this instance; null when it was not provided. An empty name takes the only one.
  const mos_runtime_v1 *runtime(const std::string &instance) const;
  /// Names of the instances of matrixos.runtime/1 that are provided now.
  std::vector<std::string> provided() const;
  /// services.withdraw calls it before it returns: a host waits there for the calls in the table. Set while nobody
  /// withdraws.
  void drainWith(std::function<void()> wait) { drain_ = std::move(wait); }
  /// From now on every function answers MOS_UNAVAILABLE.
  void end() noexcept { ended_ = true; }
  /// Functions that were called after end(), by name.
  std::vector<std::string> lateCalls() const;
  std::vector<std::string> log() const;

private:
  static HostLife &of(void *self) { return *static_cast<HostLife *>(self); }
  /// Notes the call; fails it when the life is over.
  static mos_status enter(void *self, const char *name, mos_error *error, auto &&body);

  void begin(auto &table) noexcept;
  void fillConfig();
  void fillPlatform();
  void fillLog();
  void fillMetrics();
  void fillEvents();
  void fillHttp();
  void fillWork();
  void fillServices();
  const void *find(const std::string &id) const;
  const PluginConfig::Value &value(mos_str key) const;
  void writeLog(std::uint32_t level, const std::string &text);

  HostWork &work_;
  const PluginConfig config_;
  const HostFacts facts_;
  std::string bootId_;
  std::atomic<bool> ended_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> late_;
  std::vector<std::string> lines_;
  std::map<std::string, const mos_runtime_v1 *> runtimes_;
  std::function<void()> drain_;
  std::map<std::string, std::uint64_t> series_;
  std::uint64_t subscriptions_ = 0;

  mos_host_v1 host_{};
  mos_host_config_v1 configTable_{};
  mos_host_platform_v1 platformTable_{};
  mos_host_log_v1 logTable_{};
  mos_host_metrics_v1 metricsTable_{};
  mos_host_events_v1 eventsTable_{};
  mos_host_http_v1 httpTable_{};
  mos_host_timers_v1 timersTable_{};
  mos_host_executor_v1 executorTable_{};
  mos_host_services_v1 servicesTable_{};
};

} // namespace matrixos::conformance
