#include "plugin/ServiceForward.h"
#include "plugin/ServiceProxy.h"

#include <matrixos/abi/lifecycle.h>
#include <matrixos/abi/orchestrator.h>
#include <matrixos/abi/runtime.h>
#include <matrixos/status.hpp>

#include <map>
#include <vector>

namespace matrixos::plugin {

template <>
constexpr bool kBlocks<mos_runtime_v1> = true;

mos_status unavailable(const ServicePoint &point, mos_error *error) {
  const std::string which = point.instance().empty() ? "" : " \"" + point.instance() + "\"";
  return fail(error, Status::Unavailable,
              "nothing provides " + point.service() + which +
                  " at the moment: its plugin is disabled, failed or starting",
              "SERVICE_UNAVAILABLE", 1000);
}

namespace {

#define FORWARD(Table, function) table_.function = &Forward<&Table::function, #function>::call

class RuntimeProxy final : public ProxyBase {
public:
  RuntimeProxy(ServicePoint &point, const ServiceConsumer &consumer) : ProxyBase(point, consumer) {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_RUNTIME_1_MINOR;
    table_.self = static_cast<ProxyBase *>(this);
    FORWARD(mos_runtime_v1, capabilities);
    FORWARD(mos_runtime_v1, pull);
    FORWARD(mos_runtime_v1, create);
    FORWARD(mos_runtime_v1, start);
    FORWARD(mos_runtime_v1, stop);
    FORWARD(mos_runtime_v1, remove);
    FORWARD(mos_runtime_v1, inspect);
    FORWARD(mos_runtime_v1, list);
    FORWARD(mos_runtime_v1, logs);
    FORWARD(mos_runtime_v1, stats);
    FORWARD(mos_runtime_v1, pause);
    FORWARD(mos_runtime_v1, unpause);
    FORWARD(mos_runtime_v1, events);
    FORWARD(mos_runtime_v1, volume_ensure);
    FORWARD(mos_runtime_v1, volume_trash);
    FORWARD(mos_runtime_v1, volume_snapshot);
    FORWARD(mos_runtime_v1, endpoints);
    FORWARD(mos_runtime_v1, volume_remove_if_empty);
    table_.start_described = &startDescribed;
  }
  const void *table() const noexcept override { return &table_; }

private:
  /// A runtime of minor 0 is asked twice.
  static mos_status startDescribed(void *self, const mos_call *call, mos_str ref, mos_buf *out, mos_error *error) {
    using Both = Forward<&mos_runtime_v1::start_described, "start_described">;
    mos_status status = Both::call(self, call, ref, out, error);
    if (status != MOS_UNIMPLEMENTED) return status;
    status = Forward<&mos_runtime_v1::start, "start">::call(self, call, ref, error);
    if (status != MOS_OK) return status;
    return Forward<&mos_runtime_v1::inspect, "inspect">::call(self, call, ref, out, error);
  }

  mos_runtime_v1 table_{};
};

class LifecycleProxy final : public ProxyBase {
public:
  LifecycleProxy(ServicePoint &point, const ServiceConsumer &consumer) : ProxyBase(point, consumer) {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_LIFECYCLE_1_MINOR;
    table_.self = static_cast<ProxyBase *>(this);
    FORWARD(mos_lifecycle_v1, ensure_running);
    FORWARD(mos_lifecycle_v1, forget);
    FORWARD(mos_lifecycle_v1, report_activity);
    FORWARD(mos_lifecycle_v1, describe);
    FORWARD(mos_lifecycle_v1, report_open);
  }
  const void *table() const noexcept override { return &table_; }

private:
  mos_lifecycle_v1 table_{};
};

class OrchestratorProxy final : public ProxyBase {
public:
  OrchestratorProxy(ServicePoint &point, const ServiceConsumer &consumer) : ProxyBase(point, consumer) {
    table_.struct_size = sizeof table_;
    table_.minor = MOS_ORCHESTRATOR_1_MINOR;
    table_.self = static_cast<ProxyBase *>(this);
    FORWARD(mos_orchestrator_v1, provision);
    FORWARD(mos_orchestrator_v1, start);
    FORWARD(mos_orchestrator_v1, stop);
    FORWARD(mos_orchestrator_v1, destroy);
    FORWARD(mos_orchestrator_v1, get);
    FORWARD(mos_orchestrator_v1, list);
    FORWARD(mos_orchestrator_v1, record_activity);
    table_.watch = [](void *self, std::uint64_t since, mos_instance_watcher watcher, std::uint64_t *out, mos_error *e) {
      return guarded(e, [&] { return of(self).watch(since, watcher, out, e); });
    };
    table_.unwatch = [](void *self, std::uint64_t id, mos_error *e) {
      return guarded(e, [&] { return of(self).unwatch(id, e); });
    };
  }
  const void *table() const noexcept override { return &table_; }

  /// The new provider knows nothing of the watches: each is set up again and gets everything once more.
  void providerArrived() override {
    std::vector<std::uint64_t> ids;
    {
      const std::lock_guard lock(mutex_);
      for (auto &[id, watch] : watches_) {
        watch.providerId = 0;
        ids.push_back(id);
      }
    }
    for (const std::uint64_t id : ids)
      establish(id, 0, nullptr);
  }

  void sweep() override {
    std::map<std::uint64_t, Watch> left;
    {
      const std::lock_guard lock(mutex_);
      left.swap(watches_);
    }
    for (const auto &[id, watch] : left)
      end(watch.providerId, nullptr);
  }

private:
  /// A watch of the consumer, which outlives providers.
  struct Watch {
    mos_instance_watcher watcher{};
    std::uint64_t providerId = 0; ///< 0 while nobody provides the service
  };

  static OrchestratorProxy &of(void *self) { return *static_cast<OrchestratorProxy *>(static_cast<ProxyBase *>(self)); }

  /// Succeeds also while nobody provides the service: the records come when somebody does.
  mos_status watch(std::uint64_t since, const mos_instance_watcher &watcher, std::uint64_t *out, mos_error *error) {
    {
      const std::lock_guard lock(mutex_);
      *out = ++lastId_;
      watches_[*out].watcher = watcher;
    }
    return establish(*out, since, error);
  }

  mos_status establish(std::uint64_t id, std::uint64_t since, mos_error *error) {
    const ProviderUse use(point_);
    if (!use.pass) return MOS_OK;
    mos_instance_watcher watcher{};
    {
      const std::lock_guard lock(mutex_);
      const auto at = watches_.find(id);
      if (at == watches_.end()) return MOS_OK;
      watcher = at->second.watcher;
    }
    const auto *provider = static_cast<const mos_orchestrator_v1 *>(use.provider->table);
    std::uint64_t providerId = 0;
    const PluginTag *tag = use.provider->tag;
    const mos_status status = callPlugin(
        tag, "watch()", error, [&] { return provider->watch(provider->self, since, watcher, &providerId, error); });
    const std::lock_guard lock(mutex_);
    if (status != MOS_OK)
      watches_.erase(id);
    else if (const auto at = watches_.find(id); at != watches_.end())
      at->second.providerId = providerId;
    return status;
  }

  mos_status unwatch(std::uint64_t id, mos_error *error) {
    std::uint64_t providerId = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto at = watches_.find(id);
      if (at == watches_.end()) return fail(error, Status::NotFound, "no such watch", "STALE_HANDLE");
      providerId = at->second.providerId;
      watches_.erase(at);
    }
    return end(providerId, error);
  }

  /// A provider that has gone has no watches left: nothing to end is success.
  mos_status end(std::uint64_t providerId, mos_error *error) {
    const ProviderUse use(point_);
    if (!use.pass || providerId == 0) return MOS_OK;
    const auto *provider = static_cast<const mos_orchestrator_v1 *>(use.provider->table);
    return callPlugin(use.provider->tag, "unwatch()", error,
                      [&] { return provider->unwatch(provider->self, providerId, error); });
  }

  mos_orchestrator_v1 table_{};
  std::mutex mutex_;
  std::map<std::uint64_t, Watch> watches_;
  std::uint64_t lastId_ = 0;
};

} // namespace

std::unique_ptr<ServiceProxy> makeServiceProxy(ServicePoint &point, const ServiceConsumer &consumer) {
  if (point.service() == MOS_RUNTIME_1) return std::make_unique<RuntimeProxy>(point, consumer);
  if (point.service() == MOS_ORCHESTRATOR_1) return std::make_unique<OrchestratorProxy>(point, consumer);
  if (point.service() == MOS_LIFECYCLE_1) return std::make_unique<LifecycleProxy>(point, consumer);
  return nullptr;
}

std::uint32_t knownTableSize(const std::string &service) {
  if (service == MOS_RUNTIME_1) return offsetof(mos_runtime_v1, start_described); // minor 0
  if (service == MOS_ORCHESTRATOR_1) return sizeof(mos_orchestrator_v1);
  if (service == MOS_LIFECYCLE_1) return offsetof(mos_lifecycle_v1, report_open); // minor 0
  return 0;
}

} // namespace matrixos::plugin
