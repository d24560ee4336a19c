#pragma once

#include "auth/Authenticator.h"
#include "common/Executor.h"
#include "common/Timers.h"
#include "daemon/ConfigService.h"
#include "events/EventBus.h"
#include "http/ApiServer.h"
#include "log/Log.h"
#include "metrics/Metrics.h"
#include "plugin/CoreServices.h"
#include "plugin/PluginHost.h"
#include "storage/DataDirectory.h"
#include "storage/Database.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace matrixos::daemon {

/// What a reload did.
struct ReloadReport {
  std::vector<std::string> applied; ///< "[lifecycle] idle_timeout: 30m → 1h"
  std::vector<std::string> restart; ///< the same, for what takes effect only after a restart
  std::vector<std::string> refused; ///< plugins that refused, with their reason
};

/// What the reload of one plugin did.
struct PluginReloadReport {
  plugin::PluginReload plugin;
  std::vector<std::string> config; ///< what changed in its section: "[proxy] listen: … → …"
};

/// Everything between the command line and the plugins: puts the parts together, runs until asked to stop, takes them
/// apart. main waits in run(); requestStop() and requestReload() come from the signal thread.
class Daemon {
public:
  Daemon(ConfigService &configs, ConfigService::Loaded loaded);
  ~Daemon();

  /// Starts, serves until requestStop(), stops. Throws Error when it cannot start.
  void run();

  void requestStop() noexcept;
  void requestReload() noexcept;
  bool stopRequested() const noexcept;

  /// Reads the configuration again and applies what can change live. Any thread. Throws config::ConfigError, and then
  /// nothing has changed.
  ReloadReport reload();

  /// See PluginHost; the configuration of the plugin is read with what it declares now. Any thread.
  void enablePlugin(const std::string &id);
  PluginReloadReport reloadPlugin(const std::string &id);

  // For the routes of the API.
  plugin::PluginHost &plugins() noexcept { return *plugins_; }
  /// Why nothing can be stored at the moment, or "". Looks at the database's files and at the disk.
  std::string storageProblem();
  metrics::Metrics &metrics() noexcept { return metrics_; }
  plugin::ServiceRegistry &services() noexcept { return *services_; }
  api::ApiServer &api() noexcept { return *api_; }
  config::ConfigPtr config() const { return configs_.current(); }
  std::string platformInfo() const;
  std::int64_t startedMs() const noexcept { return startedMs_; }

private:
  void startCore();
  void startApi();
  void startPlugins();
  void serve();
  void watchStorage();
  void retryStarved();
  /// See reload(). Under reloading_.
  ReloadReport applyFiles();
  void stop();
  /// See PluginHost::Options::prepare. Under reloading_.
  std::function<void(bool)> configureFor(const plugin::DiscoveredPlugin &candidate);
  void applyPluginSet(const config::Config &before, const config::Config &after, ReloadReport &report);

  ConfigService &configs_;
  ConfigService::Loaded loaded_;
  const std::int64_t startedMs_;
  const std::string bootId_;
  std::string installId_;

  // In the order they are made; the plugin host goes first when they are taken apart.
  std::optional<storage::DataDirectory> directory_;
  metrics::Metrics metrics_;
  std::unique_ptr<common::Executor> executor_;
  std::unique_ptr<common::Timers> timers_;
  std::unique_ptr<events::EventBus> events_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<plugin::ServiceRegistry> services_;
  std::shared_ptr<auth::Authenticator> authenticator_;
  std::unique_ptr<api::ApiServer> api_;
  std::unique_ptr<plugin::CoreServices> core_;
  std::unique_ptr<plugin::PluginHost> plugins_;

  std::mutex reloading_;            ///< one reload, of the configuration or of a plugin, at a time
  std::set<std::string> unsettled_; ///< plugins that refused the last configuration. Under reloading_
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string storageProblem_; ///< the last one that was told. Of the timer alone
  bool stop_ = false;
  bool reload_ = false;
};

} // namespace matrixos::daemon
