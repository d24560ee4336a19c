#pragma once

#include "plugin/ServiceRegistry.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::daemon {

/// The tables of all enabled plugins that provide a service, as the core itself uses them: proxies, which outlive the
/// plugins behind them. Thread-safe.
template <typename Table>
class ProviderTables {
public:
  /// By the instance of the service.
  using List = std::vector<std::pair<std::string, const Table *>>;

  /// `consumer`: "core#1", which no other consumer has.
  ProviderTables(plugin::ServiceRegistry &services, std::string service, std::string consumer)
      : services_(services),
        service_(std::move(service)), consumer_{std::move(consumer), std::make_shared<plugin::CallGate>(),
                                                plugin::PluginScope::tagOf("core")} {}

  std::shared_ptr<const List> get() const {
    const std::lock_guard lock(mutex_);
    return list_;
  }
  /// The plugins that provide it have changed. Those that do not run are among them: calls of theirs fail.
  void refresh() {
    auto list = std::make_shared<List>();
    for (const auto &[entry, enabled] : services_.expected(service_))
      if (enabled)
        list->emplace_back(entry.instance,
                           static_cast<const Table *>(services_.acquire(consumer_, service_, entry.instance)));
    replace(std::move(list));
  }
  /// Before the services go: nobody is called any more. Waits for completions that are inside, at most `patience`.
  void close(std::chrono::milliseconds patience) {
    {
      const std::lock_guard lock(mutex_);
      list_ = std::make_shared<List>();
    }
    consumer_.gate->close();
    services_.sweepConsumer(consumer_.plugin);
    consumer_.gate->drain(patience);
  }

private:
  void replace(std::shared_ptr<const List> list) {
    {
      const std::lock_guard lock(mutex_);
      list_.swap(list);
    }
    for (const auto &[instance, before] : *list)
      services_.release(consumer_.plugin, before);
  }

  plugin::ServiceRegistry &services_;
  const std::string service_;
  const plugin::ServiceConsumer consumer_;
  mutable std::mutex mutex_;
  std::shared_ptr<const List> list_ = std::make_shared<List>();
};

} // namespace matrixos::daemon
