#pragma once

#include "auth/Authenticator.h"
#include "common/Executor.h"
#include "common/Timers.h"
#include "config/Config.h"
#include "daemon/AuditProviders.h"
#include "daemon/IdentityProviders.h"
#include "events/EventBus.h"
#include "http/ApiServer.h"
#include "metrics/Metrics.h"
#include "plugin/CoreServices.h"
#include "plugin/PluginHost.h"
#include "storage/Database.h"

#include <matrixos/ulid.hpp>

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::testhost {

/// What the daemon has for plugins, without the daemon: in a folder, with its API on sockets there, and for any number
/// of lives in one process. What it is made of is open to tests.
class Platform {
public:
  struct Options {
    std::filesystem::path folder;                        ///< a short path: sockets lie in it
    std::optional<common::Timers::ManualTime> time = {}; ///< nothing: timers go with the time that passes
    std::string installId = makeUlid();
  };

  /// The API answers from now on. Throws Error.
  explicit Platform(Options given);
  /// The plugins have to be stopped.
  ~Platform();
  Platform(const Platform &) = delete;
  Platform &operator=(const Platform &) = delete;

  /// What the configuration of these plugins is with the values "section.key=value". Throws config::ConfigError with
  /// all that is wrong with them.
  config::ConfigPtr configurationOf(const std::vector<plugin::DiscoveredPlugin> &plugins,
                                    std::vector<std::string> sets) const;
  void setConfig(config::ConfigPtr config);
  config::ConfigPtr config() const;

  std::filesystem::path adminSocket() const { return options.folder / "admin.sock"; }
  std::filesystem::path apiSocket() const { return options.folder / "api.sock"; }

  const Options options;
  storage::Database database;
  metrics::Metrics metrics;
  events::EventBus events;
  common::Executor executor;
  common::Timers timers;
  plugin::ServiceRegistry services;
  plugin::NameOwners names;
  const std::shared_ptr<daemon::IdentityProviders> identities;
  const std::shared_ptr<daemon::AuditProviders> audit;
  api::ApiServer api;
  plugin::CoreServices core;

private:
  std::string info() const;
  api::ApiServerOptions apiOptions() const;

  const std::string bootId_ = makeUlid();
  mutable std::mutex mutex_;
  config::ConfigPtr config_;
};

} // namespace matrixos::testhost
