#pragma once

#include "plugin/Manifest.h"
#include "plugin/ServiceProxy.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::plugin {

/// Which services exist. Thread-safe; no lock is held across a call into a plugin.
class ServiceRegistry {
public:
  struct Entry {
    std::string service, instance, plugin;
    bool operator==(const Entry &other) const = default;
  };
  /// Told that a service has come, or gone. Called without a lock; must not block.
  using Listener = std::function<void(const Entry &entry, bool provided)>;

  explicit ServiceRegistry(CallObserver observer, CallLimits limits = {}, Listener listener = {})
      : observer_(std::move(observer)), limits_(limits), listener_(std::move(listener)) {}

  /// What plugins have in their descriptors, by their ids, and whether they are switched on.
  struct Expected {
    Entry entry;
    bool enabled = true;
    bool operator==(const Expected &other) const = default;
  };
  /// An acquire without an instance waits for the one that has no name, where an enabled plugin has such a one.
  /// False when nothing is another.
  bool expect(std::vector<Expected> all);
  /// Those of one service.
  std::vector<Expected> expected(const std::string &service) const;

  /// Throws Error: AlreadyExists when another plugin provides it, InvalidArgument for a table that is too small.
  void provide(const std::string &plugin, const std::string &service, const std::string &instance, const void *table);
  /// The same for a provider that takes the functions by their numbers, up to those of `minor`.
  void provide(const std::string &plugin, const std::string &service, const std::string &instance,
               mos_forwarder_v1 *forwarder, std::uint32_t minor);
  /// Waits for calls that are inside, at most `timeout`; false when some are left. NotFound when it is not provided.
  bool withdraw(const std::string &plugin, const std::string &service, const std::string &instance,
                std::chrono::milliseconds timeout);
  /// Empties the places that `plugin` holds, so that no new call comes, and waits for those inside, at most `patience`
  /// in all. Streams that get what happens are cancelled; what else is left goes on.
  void closeProvider(const std::string &plugin, std::chrono::milliseconds patience);
  /// Withdraws all that `plugin` provides or has closed, and waits; what is left inside: "calls inside its services",
  /// "a table of example.thing/1 that other holds", or "".
  std::string withdrawAll(const std::string &plugin, std::chrono::milliseconds timeout);

  /// A table for `consumer`. For a described service it is a proxy, the same for each call, and need not be provided
  /// yet unless the instance is empty; else the provider's own table, leased. Throws Error(Unavailable).
  /// `byNumber`: the consumer calls the functions by their numbers, as its description says, and gets a proxy also
  /// where nobody in this process has described the service; that has a forwarder for its self, and no functions.
  const void *acquire(const ServiceConsumer &consumer, const std::string &service, const std::string &instance,
                      bool byNumber = false);
  /// Once for each acquire(). Throws Error(NotFound) for what the consumer does not hold.
  void release(const std::string &consumer, const void *table);
  /// Ends what `consumer` left behind.
  void sweepConsumer(const std::string &consumer);
  /// Gives away the tables that `consumer` acquired; they stay valid as long as what is returned.
  std::vector<std::shared_ptr<ServiceProxy>> forgetConsumer(const std::string &consumer);

  /// Calls into what `plugin` provides that hang: a sentence for operators, or "".
  std::string hangs(const std::string &plugin) const;

  /// Somebody provides now what the plugin needs.
  bool isProvided(const Manifest::Need &need) const;

  std::vector<Entry> list() const;
  /// Leases of what a provider offers, which nobody can move to another provider; `plugin` is who holds it.
  std::vector<Entry> leasesOf(const std::string &provider) const;

private:
  void place(std::shared_ptr<ServiceProvider> provider, const std::string &service, const std::string &instance);
  ServicePoint &point(const std::string &service, const std::string &instance);
  std::string onlyInstance(const std::string &service) const;
  std::shared_ptr<AbandonedCalls> abandonedOf(const std::string &plugin);
  static bool drain(ServiceProvider &provider, std::chrono::milliseconds timeout);
  void tell(const ServicePoint &point, const ServiceProvider &provider, bool provided) const;

  CallObserver observer_;
  const CallLimits limits_;
  const Listener listener_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<ServicePoint>> points_;
  std::multimap<std::string, std::shared_ptr<ServiceProxy>> proxies_;   // by consumer
  std::multimap<std::string, std::shared_ptr<ServiceProvider>> closed_; // by plugin, until withdrawAll()
  std::map<std::string, std::shared_ptr<AbandonedCalls>> abandoned_;    // by plugin, until forgetConsumer()
  struct Lease {
    std::string service;
    const void *table;
    std::shared_ptr<ServiceProvider> provider;
    CallGate::Lease inside;
  };
  std::multimap<std::string, Lease> leases_; // by consumer
  std::vector<Expected> expected_;
};

} // namespace matrixos::plugin
