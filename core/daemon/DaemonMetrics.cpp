#include "daemon/DaemonMetrics.h"

#include "daemon/ApiMetrics.h"
#include "daemon/Version.h"

#include <matrixos/text/time.hpp>

#include <array>
#include <system_error>
#include <utility>

namespace matrixos::daemon {

namespace {

using plugin::PluginFault;
using plugin::PluginState;

constexpr std::array kFaults{PluginFault::Abandoned, PluginFault::Stray,   PluginFault::Threw, PluginFault::Blocked,
                             PluginFault::Trespass,  PluginFault::Overran, PluginFault::Leaked};
constexpr std::array kStates{PluginState::Disabled, PluginState::Waiting,    PluginState::Starting,
                             PluginState::Running,  PluginState::Degraded,   PluginState::Stopping,
                             PluginState::Failed,   PluginState::Quarantined};

metrics::Handle gauge(metrics::Metrics &metrics, const char *name, const char *help,
                      const metrics::Labels &labels = {}) {
  return metrics.series(common::kCoreOwner, metrics::Type::Gauge, name, help, labels);
}

metrics::Handle counterOf(metrics::Metrics &metrics, const char *name, const char *help, const std::string &plugin) {
  return metrics.series(common::kCoreOwner, metrics::Type::Counter, name, help, {{"plugin", plugin}});
}

metrics::Handle faultsOf(metrics::Metrics &metrics, PluginFault fault, const std::string &plugin) {
  switch (fault) {
  case PluginFault::Abandoned:
    return counterOf(metrics, "matrixos_plugin_calls_abandoned_total", "Calls into the plugin that were given up.",
                     plugin);
  case PluginFault::Stray:
    return counterOf(metrics, "matrixos_plugin_stray_answers_total",
                     "Answers of the plugin that came twice or too late.", plugin);
  case PluginFault::Threw:
    return counterOf(metrics, "matrixos_plugin_exceptions_total", "Exceptions that left the plugin.", plugin);
  case PluginFault::Blocked:
    return counterOf(metrics, "matrixos_plugin_blocked_total", "Calls of the plugin that blocked where nothing may.",
                     plugin);
  case PluginFault::Trespass:
    return counterOf(metrics, "matrixos_plugin_trespasses_total",
                     "What the plugin was refused, since the table, route, topic or metric is not its own.", plugin);
  case PluginFault::Leaked:
    return counterOf(metrics, "matrixos_plugin_threads_left_total",
                     "Times that the plugin left threads running when it was stopped.", plugin);
  case PluginFault::Overran:
    return counterOf(metrics, "matrixos_plugin_sql_overran_total",
                     "Queries and batches of the plugin that were ended, since they took too long.", plugin);
  }
  return 0;
}

void showPlugin(metrics::Metrics &metrics, const std::string &plugin, PluginState state) {
  for (const PluginState each : kStates) {
    metrics.set(gauge(metrics, "matrixos_plugin_state", "1 for the state that the plugin is in.",
                      {{"plugin", plugin}, {"state", plugin::stateName(each)}}),
                each == state ? 1 : 0);
  }
  crashesOf(metrics, plugin);
  for (const PluginFault fault : kFaults)
    faultsOf(metrics, fault, plugin);
}

/// With its log, which is part of it until the next checkpoint.
double sizeOf(const std::filesystem::path &database) {
  double size = 0;
  for (const char *part : {"", "-wal"}) {
    std::error_code missing;
    const auto bytes = std::filesystem::file_size(database.string() + part, missing);
    if (!missing) size += static_cast<double>(bytes);
  }
  return size;
}

} // namespace

void exposeDaemon(metrics::Metrics &metrics, DaemonFacts facts) {
  metrics.set(gauge(metrics, "matrixos_build_info", "1; its label says which version runs.", {{"version", kVersion}}),
              1);
  noteReload(metrics, true);
  metrics.onExpose([&metrics, facts = std::move(facts)] {
    for (const plugin::PluginReport &report : facts.plugins())
      showPlugin(metrics, report.manifest.id, report.state);
    for (const api::RouteInfo &route : facts.routes())
      for (const char *status : {"500", "503"})
        requestsOf(metrics, route.method, route.pattern, status);
    if (const auto bytes = facts.freeBytes()) {
      metrics.set(
          gauge(metrics, "matrixos_data_dir_free_bytes", "Space that is left on the disk of the data directory."),
          static_cast<double>(*bytes));
    }
    metrics.set(gauge(metrics, "matrixos_database_size_bytes", "Size of the database's files."),
                sizeOf(facts.database));
  });
}

void noteReload(metrics::Metrics &metrics, bool succeeded) {
  metrics.set(gauge(metrics, "matrixos_config_last_reload_successful",
                    "1 if the last reload of the configuration was taken whole, else 0."),
              succeeded ? 1 : 0);
  const auto time = gauge(metrics, "matrixos_config_last_reload_success_timestamp_seconds",
                          "When the configuration was last taken whole, since the epoch.");
  if (succeeded) metrics.set(time, static_cast<double>(wallClockMs()) / 1000);
}

void noteOutboxes(metrics::Metrics &metrics, const std::map<std::string, storage::OutboxStore::Counts> &outboxes) {
  for (const auto &[plugin, counts] : outboxes) {
    for (const auto &[state, count] : {std::pair{"waiting", counts.waiting}, std::pair{"parked", counts.parked}}) {
      metrics.set(gauge(metrics, "matrixos_outbox_items", "Messages in the plugin's outbox that wait or are parked.",
                        {{"plugin", plugin}, {"state", state}}),
                  static_cast<double>(count));
    }
  }
}

metrics::Handle crashesOf(metrics::Metrics &metrics, const std::string &plugin) {
  return counterOf(metrics, "matrixos_plugin_crashes_total", "Times in a row that the plugin brought the daemon down.",
                   plugin);
}

plugin::PluginFaults::Observer pluginFaultObserver(metrics::Metrics &metrics) {
  return [&metrics](const std::string &plugin, PluginFault fault) { metrics.add(faultsOf(metrics, fault, plugin), 1); };
}

} // namespace matrixos::daemon
