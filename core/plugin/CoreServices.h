#pragma once

#include "common/Executor.h"
#include "common/Timers.h"
#include "config/Config.h"
#include "events/EventBus.h"
#include "http/ApiServer.h"
#include "metrics/Metrics.h"
#include "plugin/NameOwners.h"
#include "plugin/ServiceRegistry.h"
#include "storage/Database.h"

#include <functional>
#include <string>

namespace matrixos::plugin {

/// What the daemon has to offer to plugins. Everything outlives the plugin host.
struct CoreServices {
  /// The effective configuration at this moment.
  std::function<config::ConfigPtr()> config;
  /// Facts about the daemon, see mos_host_platform_v1.info.
  std::function<std::string()> platformInfo;
  storage::Database &database;
  metrics::Metrics &metrics;
  events::EventBus &events;
  api::ApiServer &api;
  common::Executor &executor;
  common::Timers &timers;
  ServiceRegistry &services;
  NameOwners &names;
};

} // namespace matrixos::plugin
