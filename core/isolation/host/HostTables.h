#pragma once

#include "common/Executor.h"
#include "common/ServiceDescription.h"
#include "common/Timers.h"
#include "isolation/host/DaemonLink.h"
#include "isolation/host/EventHandlers.h"
#include "isolation/host/MetricsBuffer.h"
#include "isolation/host/NeededProxies.h"
#include "isolation/host/SlowTables.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace matrixos::isolation::host {

/// The host as the plugin sees it in its own process. Config, platform, log, metrics, kv, events, services, fetch and
/// outbox go to the daemon; timers and executor are of this process. There is no sql and no http, see README.md.
class HostTables {
public:
  HostTables(DaemonLink &link, NeededProxies &needed, EventHandlers &events, const mos_descriptor_v1 &descriptor);

  const mos_host_v1 *host() const noexcept { return &host_; }

  /// Of each slot of the descriptor's provides; null where nobody described it.
  const common::ServiceDescription *serviceOf(std::size_t slot) const noexcept {
    return slot < described_.size() ? described_[slot] : nullptr;
  }

  /// One call into a service: withdraw() waits for it.
  class ServiceUse {
  public:
    ServiceUse(HostTables &tables, std::size_t slot);
    ~ServiceUse();
    ServiceUse(const ServiceUse &) = delete;
    ServiceUse &operator=(const ServiceUse &) = delete;
    /// What the plugin provides in this slot now, or null.
    const void *table() const noexcept { return table_; }

  private:
    HostTables &tables_;
    const std::size_t slot_;
    const void *table_ = nullptr;
  };

  MetricsBuffer &samples() noexcept { return samples_; }
  SlowTables &slow() noexcept { return slow_; }

  /// After stop(): the functions answer MOS_UNAVAILABLE; timers, tasks, event handlers and completions end. False when
  /// some of it still runs.
  bool close();

private:
  static HostTables &of(void *self) noexcept { return *static_cast<HostTables *>(self); }
  static const void *getInterface(void *self, const char *id);

  /// Runs a host function: refused after close(), and no exception leaves it.
  static mos_status hosted(void *self, mos_error *error, auto &&body) noexcept {
    if (!of(self).open_.load(std::memory_order_acquire)) {
      return fail(error, Status::Unavailable, "the plugin was stopped", "STOPPED");
    }
    return guarded(error, [&] { return body(of(self)); });
  }

  void fillConfig();
  void fillPlatform();
  void fillLog();
  void sendLog(std::uint32_t level, mos_str message, std::vector<LogField> list);
  void fillMetrics();
  void fillKv();
  void fillEvents();
  void fillWork();
  void fillServices();
  std::size_t slotOf(mos_str service, mos_str instance) const;

  DaemonLink &link_;
  NeededProxies &needed_;
  EventHandlers &handlers_;
  SlowTables slow_;
  const mos_descriptor_v1 &descriptor_;
  const common::Owner owner_ = common::makeOwner();
  common::Executor tasks_;
  common::Timers timers_;
  MetricsBuffer samples_;
  std::atomic<bool> open_{true};
  struct Provided {
    const void *table = nullptr;
    std::size_t inside = 0; ///< calls
  };
  std::mutex mutex_; ///< provided_
  std::condition_variable left_;
  std::vector<Provided> provided_; ///< by slot
  std::vector<const common::ServiceDescription *> described_;
  mos_host_v1 host_{};
  mos_host_config_v1 config_{};
  mos_host_platform_v1 platform_{};
  mos_host_log_v1 log_{};
  mos_host_metrics_v1 metrics_{};
  mos_host_kv_v1 kv_{};
  mos_host_events_v1 events_{};
  mos_host_timers_v1 timersTable_{};
  mos_host_executor_v1 executorTable_{};
  mos_host_services_v1 services_{};
};

} // namespace matrixos::isolation::host
