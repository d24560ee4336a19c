#pragma once

#include "common/ServiceDescription.h"
#include "plugin/ServicePoint.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::plugin {

/// Who uses a service: the name for messages, and the gate that is entered while its callbacks run.
struct ServiceConsumer {
  std::string plugin;
  std::shared_ptr<CallGate> gate;
  const PluginTag *tag = nullptr; ///< named when one of its callbacks crashes
};

/// A table handed to one consumer, forwarding to whoever provides the service at that moment. It has the layout that
/// the service's description says. Calls of functions that block are watched (WatchedCall); the others run on the
/// caller's thread. Thread-safe.
class ServiceProxy final {
public:
  ServiceProxy(ServicePoint &point, ServiceConsumer consumer, const common::ServiceDescription &service);
  ServiceProxy(const ServiceProxy &) = delete;
  ServiceProxy &operator=(const ServiceProxy &) = delete;

  const void *table() const noexcept { return table_.data(); }
  /// Counts how often the consumer has acquired and not released it; with 0 it refuses calls, and its watches end.
  void hold() noexcept { ++holds_; }
  /// False when it was released as often as acquired.
  bool release();
  /// Where its calls go.
  const ServicePoint &point() const noexcept { return point_; }
  /// What it was made from.
  const common::ServiceDescription &service() const noexcept { return service_; }
  /// Somebody provides the service (again): what the consumer watches is watched there, too.
  void providerArrived();
  /// The consumer has stopped: its watches in the provider end.
  void sweep();

private:
  /// What the functions of the table have for self.
  struct Forwarder : mos_forwarder_v1 {
    ServiceProxy *proxy;
  };
  /// Left behind by the consumer in whoever provides the service.
  struct Watch;

  /// One function of the table, with what each call asks about it.
  struct Function {
    const common::ServiceFunction &said;
    std::uint32_t number;
    bool isDirect;             ///< called on the caller's thread, and leaves nothing behind
    bool isPlain;              ///< and with the caller's own arguments
    FunctionObserver observer; ///< may be empty
  };

  mos_status call(std::uint32_t number, void *const *args) noexcept;
  mos_status refuseReleased(const Function &function, mos_error *error) const noexcept;
  mos_status direct(const Function &function, void *const *args, mos_error *error);
  mos_status wrapped(const ServiceProvider &provider, const Function &function, void *const *args, mos_error *error);
  mos_completion wrap(std::uint64_t &id, const common::ServiceFunction &function, void *const *args,
                      const ServiceProvider &provider) const;
  mos_status run(const Function &function, void *const *args, mos_error *error);
  mos_status forward(const Function &function, void *const *args, mos_error *error);
  mos_status watched(const Function &function, void *const *args, mos_error *error);
  mos_status startThenInspect(void *const *args, mos_error *error);
  mos_status watch(const Function &function, void *const *args, mos_error *error);
  mos_status establish(std::uint64_t id, const std::shared_ptr<Watch> &watch, mos_error *error);
  mos_status unwatch(const Function &function, std::uint64_t id, mos_error *error);
  mos_status endWatch(const Function &function, std::uint64_t providerId, mos_error *error);
  const Function &functionOf(std::string_view name) const;

  ServicePoint &point_;
  const ServiceConsumer consumer_;
  const common::ServiceDescription &service_;
  Forwarder forwarder_{};
  const std::vector<std::uint64_t> table_;
  std::vector<Function> functions_; ///< by their numbers
  std::atomic<int> holds_{0};

  std::mutex mutex_; ///< watches_
  std::map<std::uint64_t, std::shared_ptr<Watch>> watches_;
  std::uint64_t lastWatch_ = 0;
};

} // namespace matrixos::plugin
