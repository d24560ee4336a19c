#pragma once

#include "http/Router.h"
#include "metrics/Metrics.h"
#include "plugin/PluginFaults.h"
#include "plugin/PluginHost.h"
#include "storage/OutboxStore.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::daemon {

/// Where the metrics of the daemon itself come from. All functions: any thread.
struct DaemonFacts {
  std::function<std::vector<plugin::PluginReport>()> plugins;
  std::function<std::vector<api::RouteInfo>()> routes;
  std::function<std::optional<std::uint64_t>()> freeBytes; ///< on the disk of the data directory
  std::filesystem::path database;
};

/// Keeps matrixos_build_info, matrixos_plugin_state, matrixos_data_dir_free_bytes and matrixos_database_size_bytes, and
/// counters of faults at 0 for every plugin and route: what appears with its first event is a rise that increase() does
/// not see.
void exposeDaemon(metrics::Metrics &metrics, DaemonFacts facts);

/// matrixos_config_last_reload_successful, matrixos_config_last_reload_success_timestamp_seconds: at the start and
/// after each reload.
void noteReload(metrics::Metrics &metrics, bool succeeded);

/// matrixos_outbox_items, by plugin: what waits and what is parked.
void noteOutboxes(metrics::Metrics &metrics, const std::map<std::string, storage::OutboxStore::Counts> &outboxes);

/// matrixos_plugin_crashes_total.
metrics::Handle crashesOf(metrics::Metrics &metrics, const std::string &plugin);

/// Counts what plugins do wrong: matrixos_plugin_calls_abandoned_total, matrixos_plugin_stray_answers_total,
/// matrixos_plugin_exceptions_total, matrixos_plugin_blocked_total, matrixos_plugin_trespasses_total,
/// matrixos_plugin_sql_overran_total, matrixos_plugin_threads_left_total.
plugin::PluginFaults::Observer pluginFaultObserver(metrics::Metrics &metrics);

} // namespace matrixos::daemon
