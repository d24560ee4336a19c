#pragma once

#include "plugin/AbandonedCalls.h"
#include "plugin/CallGate.h"
#include "plugin/PluginScope.h"

#include <matrixos/abi/service.h>
#include <matrixos/file_descriptor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace matrixos::plugin {

/// Told of every call of one function that goes through a proxy; seconds: 0 of one that must not block.
using FunctionObserver = std::function<void(mos_status status, double seconds)>;
/// Makes the one of a service's function, once for each consumer.
using CallObserver =
    std::function<FunctionObserver(const std::string &service, const std::string &function, bool blocks)>;

/// The plugin's id of one life of it: "runtime-docker" of "runtime-docker#7".
std::string pluginOf(const std::string &life);

/// How patient proxies are with providers.
struct CallLimits {
  /// On top of a call's deadline, or after its cancellation, before it is given up: a provider that behaves answers
  /// within it, with a better message than the host's.
  std::chrono::milliseconds grace{2000};
};

/// What stands behind a service right now. Calls in it hold a pass of its gate.
struct ServiceProvider {
  std::string plugin;          ///< one life of it: "id#number"
  const void *table = nullptr; ///< or
  mos_forwarder_v1 *forwarder = nullptr;
  std::uint32_t minor = 0; ///< of the forwarder
  const PluginTag *tag = nullptr;
  std::shared_ptr<AbandonedCalls> abandoned;
  CallGate gate;
  FileDescriptor leavingFd; ///< readable once the gate is closed
  /// It was withdrawn while calls were inside, and they did not return in time: nobody waits for them any more.
  std::atomic<bool> givenUp{false};

  /// One whose gate is closed. Its memory is never freed, only used again, and that not while somebody is inside: see
  /// ProviderUse.
  static std::shared_ptr<ServiceProvider> make();
  /// No new call comes in; streams that get what happens are cancelled, other calls go on.
  void leave() noexcept;

private:
  friend class ProviderPool;
  ServiceProvider() = default;
};

/// A place that a provider can take and leave: (service, instance). Proxies point here, never at a provider, and so
/// survive its coming and going. Lives as long as the registry.
class ServicePoint {
public:
  ServicePoint(std::string service, std::string instance, const CallObserver &observer, const CallLimits &limits)
      : service_(std::move(service)), instance_(std::move(instance)), observer_(observer), limits_(limits) {}

  const std::string &service() const noexcept { return service_; }
  const std::string &instance() const noexcept { return instance_; }
  const CallObserver &observer() const noexcept { return observer_; }
  const CallLimits &limits() const noexcept { return limits_; }
  std::shared_ptr<ServiceProvider> provider() const;
  /// Its gate opens. Null: nobody provides the service any more.
  void set(std::shared_ptr<ServiceProvider> provider);

private:
  friend class ProviderUse;

  const std::string service_, instance_;
  const CallObserver &observer_;
  const CallLimits &limits_;
  mutable std::mutex mutex_;
  std::shared_ptr<ServiceProvider> provider_;
  std::atomic<ServiceProvider *> now_{nullptr}; ///< of provider_
};

/// A call into whoever provides a service, on the caller's thread, without a lock or a count that other threads share.
class ProviderUse {
public:
  explicit ProviderUse(const ServicePoint &point) noexcept {
    // A provider that is read here may leave, and be used again for another, before its gate is entered; inside of an
    // open gate it is still the one that stands here, or not.
    while (ServiceProvider *there = point.now_) {
      const bool entered = pass_.enter(there->gate);
      if (entered && point.now_ == there) {
        provider_ = there;
        return;
      }
      pass_.leave();
      if (!entered && point.now_ == there) return; // it is just leaving
    }
  }
  /// Null when there is none.
  const ServiceProvider *provider() const noexcept { return provider_; }

private:
  const ServiceProvider *provider_ = nullptr;
  CallGate::Pass pass_;
};

} // namespace matrixos::plugin
