#pragma once

#include "common/Owner.h"
#include "http/HttpInterface.h"
#include "plugin/CallGate.h"
#include "plugin/CoreServices.h"
#include "plugin/Manifest.h"
#include "plugin/PluginBoundary.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/status.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace matrixos::plugin {

class Fetcher;
class OutboxDelivery;

/// The host as one life of one plugin sees it: the tables of abi/host.h, scoped to that plugin, and all that it took
/// from the host. It outlives the plugin, see retire(): a thread that the plugin forgot may still call.
class HostContext : public std::enable_shared_from_this<HostContext> {
public:
  static std::shared_ptr<HostContext> make(const Manifest &manifest, CoreServices &core);
  ~HostContext() = default;

  /// For create(); lives as long as this object.
  const mos_host_v1 *host() const noexcept { return &host_; }

  /// Refuses new requests and calls: routes go, provided services are empty. The plugin itself may still use the host.
  void stopAccepting();
  /// After stop(): from now on the host's functions answer MOS_UNAVAILABLE; routes, timers, tasks, subscriptions,
  /// services and pending calls are swept. Gives what is still running after `timeout`, or "".
  std::string sweep(std::chrono::milliseconds timeout);

  /// The life is over. Keep the context of a plugin that was given up for good. One that ended well may have left a
  /// thread that calls the host all the same, and gets MOS_UNAVAILABLE: its context is kept while the next
  /// kRetiredLives lives of the same plugin end, about 3 KiB each.
  static void retire(std::shared_ptr<HostContext> context, bool endedWell);
  static constexpr std::size_t kRetiredLives = 16;

  /// What the plugin said of itself with set_degraded, calls into it that hang, and what it lately did to others.
  std::string degradedReason() const;
  void setDegraded(std::string reason);
  /// While it lives the plugin reads the rows of a query.
  class OpenQuery {
  public:
    explicit OpenQuery(HostContext &context);
    ~OpenQuery();
    OpenQuery(const OpenQuery &) = delete;
    OpenQuery &operator=(const OpenQuery &) = delete;

  private:
    HostContext &context_;
    std::multiset<std::chrono::steady_clock::time_point>::iterator since_;
  };

  /// Throws Error(FailedPrecondition) when there is one already.
  void startDelivery(std::shared_ptr<OutboxDelivery> delivery);
  void wakeDelivery();
  /// False when something of it still runs after `timeout`.
  bool endDelivery(std::chrono::milliseconds timeout);

  /// Throws Error(Unavailable) once the plugin has stopped.
  std::shared_ptr<Fetcher> fetcher();

  // For the tables.
  const Manifest &manifest() const noexcept { return manifest_; }
  CoreServices &core() const noexcept { return core_; }
  common::Owner owner() const noexcept { return owner_; }
  bool open() const noexcept { return !calls_.closed(); }
  /// One call of a host function by the plugin; false once it has stopped.
  CallGate::Pass enter() noexcept { return calls_.enter(); }
  ServiceConsumer consumer() const { return {consumerName(), callbacks_, tag_}; }
  const PluginTag *tag() const noexcept { return tag_; }

private:
  HostContext(const Manifest &manifest, CoreServices &core);

  /// One life of the plugin among the consumers: a name that no later life shares.
  std::string consumerName() const { return manifest_.id + "#" + std::to_string(owner_); }
  static const void *getInterface(void *self, const char *id);
  /// Those under way end, and none begins any more.
  void endFetches();

  const Manifest manifest_;
  CoreServices &core_;
  const common::Owner owner_ = common::makeOwner();
  const PluginTag *const tag_;
  std::vector<std::shared_ptr<ServiceProxy>> acquired_; ///< after retire()
  const std::shared_ptr<CallGate> callbacks_ = std::make_shared<CallGate>();
  CallGate calls_; ///< host functions that the plugin is inside of
  mutable std::mutex mutex_;
  std::string degraded_;
  std::shared_ptr<OutboxDelivery> delivery_;
  std::shared_ptr<Fetcher> fetcher_; ///< from the first fetch on
  bool fetchesEnded_ = false;
  std::multiset<std::chrono::steady_clock::time_point> queries_; ///< that are open, since when
  const PluginFaults::Clock::time_point born_ = PluginFaults::Clock::now();
  mos_host_v1 host_{};
  mos_host_config_v1 config_{};
  mos_host_platform_v1 platform_{};
  mos_host_log_v1 log_{};
  mos_host_metrics_v1 metrics_{};
  mos_host_sql_v1 sql_{};
  mos_host_kv_v1 kv_{};
  mos_host_outbox_v1 outbox_{};
  mos_host_events_v1 events_{};
  mos_host_fetch_v1 fetch_{};
  api::HttpInterface http_;
  mos_host_timers_v1 timers_{};
  mos_host_executor_v1 executor_{};
  mos_host_services_v1 services_{};
};

/// Runs a host function for a plugin: refused once the plugin has stopped, and no exception leaves it.
mos_status hosted(void *self, mos_error *error, auto &&body) noexcept {
  auto &context = *static_cast<HostContext *>(self);
  const CallGate::Pass pass = context.enter();
  if (!pass) return fail(error, Status::Unavailable, "the plugin was stopped", "STOPPED");
  return guarded(error, [&] { return body(context); });
}

// One table each; `self` is the context. In HostData.cpp:
mos_host_config_v1 hostConfigTable(HostContext *context);
mos_host_platform_v1 hostPlatformTable(HostContext *context);
// In HostStorage.cpp:
mos_host_sql_v1 hostSqlTable(HostContext *context);
mos_host_kv_v1 hostKvTable(HostContext *context);
// In HostOutbox.cpp:
mos_host_outbox_v1 hostOutboxTable(HostContext *context);
// In HostTelemetry.cpp:
mos_host_log_v1 hostLogTable(HostContext *context);
mos_host_metrics_v1 hostMetricsTable(HostContext *context);
// In HostCallbacks.cpp:
mos_host_events_v1 hostEventsTable(HostContext *context);
mos_host_timers_v1 hostTimersTable(HostContext *context);
mos_host_executor_v1 hostExecutorTable(HostContext *context);
// In HostFetch.cpp:
mos_host_fetch_v1 hostFetchTable(HostContext *context);
// In HostServices.cpp:
mos_host_services_v1 hostServicesTable(HostContext *context);

} // namespace matrixos::plugin
