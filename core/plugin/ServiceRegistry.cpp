#include "plugin/ServiceRegistry.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <cstring>

namespace matrixos::plugin {

using namespace std::chrono_literals;

ServicePoint &ServiceRegistry::point(const std::string &service, const std::string &instance) {
  auto &place = points_[{service, instance}];
  if (!place) place = std::make_unique<ServicePoint>(service, instance, observer_, limits_);
  return *place;
}

void ServiceRegistry::provide(const std::string &plugin, const std::string &service, const std::string &instance,
                              const void *table) {
  const common::ServiceDescription *description = common::ServiceCatalogue::instance().find(service);
  const std::uint32_t least = description != nullptr ? description->leastTableSize() : 0;
  std::uint32_t size = 0;
  if (table != nullptr) std::memcpy(&size, table, sizeof size); // struct_size comes first in every table
  if (table == nullptr || size < least) {
    throw Error(Status::InvalidArgument,
                "the table of " + service + " is too small: " + std::to_string(size) + " bytes, at least " +
                    std::to_string(least),
                "SERVICE_TABLE");
  }
  auto provider = ServiceProvider::make();
  provider->plugin = plugin;
  provider->table = table;
  place(std::move(provider), service, instance);
}

void ServiceRegistry::provide(const std::string &plugin, const std::string &service, const std::string &instance,
                              mos_forwarder_v1 *forwarder, std::uint32_t minor) {
  if (forwarder == nullptr || forwarder->call == nullptr)
    throw Error(Status::InvalidArgument, "the forwarder of " + service + " has no call", "SERVICE_TABLE");
  auto provider = ServiceProvider::make();
  provider->plugin = plugin;
  provider->forwarder = forwarder;
  provider->minor = minor;
  place(std::move(provider), service, instance);
}

void ServiceRegistry::place(std::shared_ptr<ServiceProvider> provider, const std::string &service,
                            const std::string &instance) {
  provider->tag = PluginScope::tagOf(pluginOf(provider->plugin));
  std::vector<std::shared_ptr<ServiceProxy>> proxies;
  ServicePoint *at = nullptr;
  {
    const std::lock_guard lock(mutex_);
    ServicePoint &there = *(at = &point(service, instance));
    if (const auto taken = there.provider()) {
      throw Error(Status::AlreadyExists,
                  service + (instance.empty() ? "" : " \"" + instance + "\"") + " is already provided by " +
                      pluginOf(taken->plugin),
                  "SERVICE_TAKEN");
    }
    provider->abandoned = abandonedOf(provider->plugin);
    there.set(provider);
    for (const auto &[consumer, proxy] : proxies_) {
      if (&proxy->point() == &there) proxies.push_back(proxy);
    }
  }
  for (const auto &proxy : proxies)
    proxy->providerArrived();
  tell(*at, *provider, true);
}

void ServiceRegistry::tell(const ServicePoint &point, const ServiceProvider &provider, bool provided) const {
  if (listener_) listener_({point.service(), point.instance(), pluginOf(provider.plugin)}, provided);
}

bool ServiceRegistry::expect(std::vector<Expected> all) {
  const std::lock_guard lock(mutex_);
  expected_.swap(all);
  return all != expected_;
}

std::vector<ServiceRegistry::Expected> ServiceRegistry::expected(const std::string &service) const {
  const std::lock_guard lock(mutex_);
  std::vector<Expected> found;
  for (const Expected &one : expected_)
    if (one.entry.service == service) found.push_back(one);
  return found;
}

bool ServiceRegistry::withdraw(const std::string &plugin, const std::string &service, const std::string &instance,
                               std::chrono::milliseconds timeout) {
  std::shared_ptr<ServiceProvider> provider;
  ServicePoint *at = nullptr;
  {
    const std::lock_guard lock(mutex_);
    ServicePoint &place = *(at = &point(service, instance));
    provider = place.provider();
    if (!provider || provider->plugin != plugin) {
      throw Error(Status::NotFound, plugin + " does not provide " + service, "SERVICE_UNKNOWN");
    }
    place.set(nullptr);
  }
  provider->leave();
  tell(*at, *provider, false);
  return drain(*provider, timeout);
}

bool ServiceRegistry::drain(ServiceProvider &provider, std::chrono::milliseconds timeout) {
  if (provider.gate.drain(timeout)) return true;
  provider.givenUp = true;
  return false;
}

std::shared_ptr<AbandonedCalls> ServiceRegistry::abandonedOf(const std::string &plugin) {
  auto &calls = abandoned_[plugin];
  if (!calls) calls = std::make_shared<AbandonedCalls>(pluginOf(plugin));
  return calls;
}

std::string ServiceRegistry::hangs(const std::string &plugin) const {
  const std::lock_guard lock(mutex_);
  const auto at = abandoned_.find(plugin);
  return at == abandoned_.end() ? std::string() : at->second->reason();
}

void ServiceRegistry::closeProvider(const std::string &plugin, std::chrono::milliseconds patience) {
  std::vector<std::pair<ServicePoint *, std::shared_ptr<ServiceProvider>>> left;
  {
    const std::lock_guard lock(mutex_);
    for (auto &[key, place] : points_) {
      auto provider = place->provider();
      if (!provider || provider->plugin != plugin) continue;
      place->set(nullptr);
      provider->leave();
      closed_.emplace(plugin, provider);
      left.emplace_back(place.get(), std::move(provider));
    }
  }
  for (const auto &[point, provider] : left)
    tell(*point, *provider, false);
  const auto until = std::chrono::steady_clock::now() + patience;
  for (const auto &[point, provider] : left) {
    const auto now = std::chrono::steady_clock::now();
    provider->gate.drain(std::max(0ms, std::chrono::ceil<std::chrono::milliseconds>(until - now)));
  }
}

std::string ServiceRegistry::withdrawAll(const std::string &plugin, std::chrono::milliseconds timeout) {
  closeProvider(plugin, 0ms);
  std::vector<std::shared_ptr<ServiceProvider>> providers;
  {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = closed_.equal_range(plugin);
    for (auto at = first; at != last; ++at)
      providers.push_back(at->second);
    closed_.erase(first, last);
  }
  std::string held;
  bool calls = false;
  for (const auto &provider : providers) {
    if (drain(*provider, timeout)) continue;
    const std::lock_guard lock(mutex_);
    std::uint64_t leases = 0;
    for (const auto &[consumer, lease] : leases_) {
      if (lease.provider != provider) continue;
      ++leases;
      held += (held.empty() ? "" : ", ") + std::string("a table of ") + lease.service + " that " + pluginOf(consumer) +
              " holds";
    }
    calls = calls || provider->gate.inside() > leases;
  }
  if (!calls) return held;
  return "calls inside its services" + (held.empty() ? "" : ", " + held);
}

bool ServiceRegistry::isProvided(const Manifest::Need &need) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(points_.begin(), points_.end(), [&](const auto &entry) {
    return need.isMetBy(entry.first.first, entry.first.second) && entry.second->provider();
  });
}

std::string ServiceRegistry::onlyInstance(const std::string &service) const {
  const bool unnamed = std::any_of(expected_.begin(), expected_.end(), [&](const Expected &one) {
    return one.enabled && one.entry.service == service && one.entry.instance.empty();
  });
  std::vector<std::string> found;
  for (const auto &[key, place] : points_) {
    if (key.first != service || !place->provider()) continue;
    if (key.second.empty()) return {};
    if (!unnamed) found.push_back(key.second);
  }
  if (found.size() == 1) return found.front();
  throw Error(Status::Unavailable,
              found.empty() ? "nothing provides " + service + " at the moment"
                            : "several plugins provide " + service + "; name the instance",
              "SERVICE_UNAVAILABLE");
}

const void *ServiceRegistry::acquire(const ServiceConsumer &consumer, const std::string &service,
                                     const std::string &instance, bool byNumber) {
  const std::lock_guard lock(mutex_);
  ServicePoint &place = point(service, instance.empty() ? onlyInstance(service) : instance);
  const common::ServiceDescription *description = common::ServiceCatalogue::instance().find(service);
  if (description != nullptr && (description->isCallable() || byNumber)) {
    const auto [first, last] = proxies_.equal_range(consumer.plugin);
    auto at = std::find_if(first, last, [&](const auto &entry) {
      return &entry.second->point() == &place && (!byNumber || &entry.second->service() == description);
    });
    if (at == last)
      at = proxies_.emplace(consumer.plugin, std::make_shared<ServiceProxy>(place, consumer, *description));
    at->second->hold();
    return at->second->table();
  }
  auto provider = place.provider();
  CallGate::Lease lease = provider ? CallGate::Lease(provider->gate) : CallGate::Lease();
  if (!lease) throw Error(Status::Unavailable, "nothing provides " + service + " at the moment", "SERVICE_UNAVAILABLE");
  const void *table = provider->table;
  if (table == nullptr) {
    throw Error(Status::Unavailable,
                service + " is provided in another process, and nobody described it here: the plugin that uses it does "
                          "so in its descriptor's services",
                "SERVICE_UNAVAILABLE");
  }
  leases_.emplace(consumer.plugin, Lease{place.service(), table, std::move(provider), std::move(lease)});
  return table;
}

void ServiceRegistry::release(const std::string &consumer, const void *table) {
  std::shared_ptr<ServiceProxy> proxy;
  {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = leases_.equal_range(consumer);
    for (auto at = first; at != last; ++at) {
      if (at->second.table != table) continue;
      leases_.erase(at);
      return;
    }
    const auto [from, to] = proxies_.equal_range(consumer);
    const auto at = std::find_if(from, to, [&](const auto &entry) { return entry.second->table() == table; });
    if (at != to) proxy = at->second;
  }
  if (!proxy || !proxy->release()) throw Error(Status::NotFound, "the plugin does not hold that table", "STALE_HANDLE");
}

void ServiceRegistry::sweepConsumer(const std::string &consumer) {
  std::vector<std::shared_ptr<ServiceProxy>> proxies;
  {
    const std::lock_guard lock(mutex_);
    leases_.erase(consumer);
    const auto [first, last] = proxies_.equal_range(consumer);
    for (auto at = first; at != last; ++at)
      proxies.push_back(at->second);
  }
  for (const auto &proxy : proxies)
    proxy->sweep();
}

std::vector<std::shared_ptr<ServiceProxy>> ServiceRegistry::forgetConsumer(const std::string &consumer) {
  std::vector<std::shared_ptr<ServiceProxy>> proxies;
  const std::lock_guard lock(mutex_);
  const auto [first, last] = proxies_.equal_range(consumer);
  for (auto at = first; at != last; ++at)
    proxies.push_back(std::move(at->second));
  proxies_.erase(first, last);
  abandoned_.erase(consumer);
  return proxies;
}

std::vector<ServiceRegistry::Entry> ServiceRegistry::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  for (const auto &[key, place] : points_) {
    if (const auto provider = place->provider()) entries.push_back({key.first, key.second, provider->plugin});
  }
  return entries;
}

std::vector<ServiceRegistry::Entry> ServiceRegistry::leasesOf(const std::string &provider) const {
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  for (const auto &[key, place] : points_) {
    const auto there = place->provider();
    if (!there || there->plugin != provider) continue;
    for (const auto &[consumer, lease] : leases_) {
      if (lease.provider == there) entries.push_back({key.first, key.second, consumer});
    }
  }
  return entries;
}

} // namespace matrixos::plugin
