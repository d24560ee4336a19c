#pragma once

#include "plugin/AbandonedCalls.h"
#include "plugin/CallGate.h"
#include "plugin/PluginMark.h"

#include <matrixos/abi/base.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// Told of every call that goes through a proxy: service id, function, result, seconds.
using CallObserver = std::function<void(const char *service, const char *function, mos_status status, double seconds)>;

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
  std::string plugin; ///< one life of it: "id#number"
  const void *table = nullptr;
  const PluginTag *tag = nullptr;
  std::shared_ptr<AbandonedCalls> abandoned;
  CallGate gate;
  /// It was withdrawn while calls were inside, and they did not return in time: nobody waits for them any more.
  std::atomic<bool> givenUp{false};
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
  void set(std::shared_ptr<ServiceProvider> provider);

private:
  const std::string service_, instance_;
  const CallObserver &observer_;
  const CallLimits &limits_;
  mutable std::mutex mutex_;
  std::shared_ptr<ServiceProvider> provider_;
};

/// Who uses a service: the name for messages, and the gate that is entered while its callbacks run.
struct ServiceConsumer {
  std::string plugin;
  std::shared_ptr<CallGate> gate;
  const PluginTag *tag = nullptr; ///< named when one of its callbacks crashes
};

/// A table handed to one consumer, forwarding to whoever provides the service at that moment.
class ServiceProxy {
public:
  virtual ~ServiceProxy() = default;
  virtual const void *table() const noexcept = 0;
  /// Where its calls go.
  virtual const ServicePoint &point() const noexcept = 0;
  /// Somebody provides the service (again): what the consumer has running there is set up anew.
  virtual void providerArrived() {}
  /// The consumer has stopped: what it left running in the provider (watches) ends.
  virtual void sweep() {}
};

/// Which services exist. Thread-safe; no lock is held across a call into a plugin.
class ServiceRegistry {
public:
  explicit ServiceRegistry(CallObserver observer, CallLimits limits = {})
      : observer_(std::move(observer)), limits_(limits) {}

  /// Throws Error: AlreadyExists when another plugin provides it, InvalidArgument for a table that is too small.
  void provide(const std::string &plugin, const std::string &service, const std::string &instance, const void *table);
  /// Waits for calls that are inside, at most `timeout`; false when some are left. NotFound when it is not provided.
  bool withdraw(const std::string &plugin, const std::string &service, const std::string &instance,
                std::chrono::milliseconds timeout);
  /// Empties the places that `plugin` holds, so that no new call comes; those inside go on.
  void closeProvider(const std::string &plugin);
  /// Withdraws all that `plugin` provides or has closed, and waits; false when calls are left inside.
  bool withdrawAll(const std::string &plugin, std::chrono::milliseconds timeout);

  /// A table for `consumer`. For a service that the host knows it is a proxy and need not be provided yet unless the
  /// instance is empty; else the provider's own table, leased. Throws Error(Unavailable).
  const void *acquire(const ServiceConsumer &consumer, const std::string &service, const std::string &instance);
  void release(const std::string &consumer, const void *table);
  /// Ends what `consumer` left behind.
  void sweepConsumer(const std::string &consumer);
  /// Gives away the tables that `consumer` acquired; they stay valid as long as what is returned.
  std::vector<std::shared_ptr<ServiceProxy>> forgetConsumer(const std::string &consumer);

  /// Calls into what `plugin` provides that hang: a sentence for operators, or "".
  std::string hangs(const std::string &plugin) const;

  /// Somebody provides the service now, under any instance name.
  bool isProvided(const std::string &service) const;

  struct Entry {
    std::string service, instance, plugin;
  };
  std::vector<Entry> list() const;
  /// Leases of what a provider offers, which nobody can move to another provider; `plugin` is who holds it.
  std::vector<Entry> leasesOf(const std::string &provider) const;

private:
  ServicePoint &point(const std::string &service, const std::string &instance);
  std::string onlyInstance(const std::string &service) const;
  std::shared_ptr<AbandonedCalls> abandonedOf(const std::string &plugin);
  static bool drain(ServiceProvider &provider, std::chrono::milliseconds timeout);

  CallObserver observer_;
  const CallLimits limits_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<ServicePoint>> points_;
  std::multimap<std::string, std::shared_ptr<ServiceProxy>> proxies_;   // by consumer
  std::multimap<std::string, std::shared_ptr<ServiceProvider>> closed_; // by plugin, until withdrawAll()
  std::map<std::string, std::shared_ptr<AbandonedCalls>> abandoned_;    // by plugin, until forgetConsumer()
  struct Lease {
    const void *table;
    std::shared_ptr<ServiceProvider> provider;
    CallGate::Pass pass;
  };
  std::multimap<std::string, Lease> leases_; // by consumer
};

/// A proxy for a service of a known interface, or null. Defined in ServiceProxies.cpp.
std::unique_ptr<ServiceProxy> makeServiceProxy(ServicePoint &point, const ServiceConsumer &consumer);
/// Smallest table that a provider of the service may hand over; 0 for services the host does not know.
std::uint32_t knownTableSize(const std::string &service);

} // namespace matrixos::plugin
