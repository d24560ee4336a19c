#pragma once

#include "auth/Authenticator.h"
#include "common/Executor.h"
#include "common/Timers.h"
#include "daemon/AuditProviders.h"
#include "daemon/ConfigService.h"
#include "daemon/IdentityProviders.h"
#include "daemon/Reloader.h"
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
#include <string>

namespace matrixos::daemon {

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

  /// Starts, serves until requestStop(), stops; `onServing` is called once it serves. Throws Error when it cannot
  /// start.
  void run(const std::function<void()> &onServing);

  void requestStop() noexcept;
  void requestReload() noexcept;
  bool stopRequested() const noexcept;

  /// Reads the configuration again and applies what can change live. Any thread. Throws config::ConfigError, and then
  /// nothing has changed.
  ReloadReport reload();
  /// See Reloader. Any thread.
  std::vector<std::string> notInEffect() const { return reloader_->notInEffect(); }

  /// See PluginHost; the configuration of the plugin is read with what it declares now. Any thread.
  void enablePlugin(const std::string &id);
  PluginReloadReport reloadPlugin(const std::string &id);

  // For the routes of the API.
  plugin::PluginHost &plugins() noexcept { return *plugins_; }
  /// Why nothing can be stored at the moment, or "". Looks at the database's files and at the disk.
  std::string storageProblem();
  /// Why what people do is not kept at the moment, or "".
  std::string auditProblem() const { return audit_->problem(); }
  metrics::Metrics &metrics() noexcept { return metrics_; }
  plugin::ServiceRegistry &services() noexcept { return *services_; }
  api::ApiServer &api() noexcept { return *api_; }
  /// What is in effect.
  config::ConfigPtr config() const { return configs_.current(); }
  std::string platformInfo() const;
  std::int64_t startedMs() const noexcept { return startedMs_; }

private:
  void startCore();
  void startApi();
  void bindApi(const api::ApiServerOptions &options);
  void startPlugins();
  /// As long as plugins are worth it, ever more slowly.
  void retryPlugins(std::chrono::milliseconds pause);
  std::string standing() const;
  void serve(const std::function<void()> &onServing);
  void watchStorage();
  void retryStarved();
  /// Reads the secrets as `next` names them; gives what was replaced by another one. Under reloading_.
  std::vector<std::string> replaceSecrets(const config::Config &next);
  void stop();
  /// See PluginHost::Options::prepare. Under reloading_.
  std::function<void(bool)> configureFor(const plugin::DiscoveredPlugin &candidate);

  ConfigService &configs_;
  ConfigService::Loaded loaded_;
  const std::int64_t startedMs_;
  const std::string bootId_;
  std::string installId_;
  storage::DataDirectory *directory_ = nullptr; ///< of configs_

  // In the order they are made; the plugin host goes first when they are taken apart.
  metrics::Metrics metrics_;
  std::unique_ptr<common::Executor> executor_;
  std::unique_ptr<common::Timers> timers_;
  std::unique_ptr<events::EventBus> events_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<plugin::ServiceRegistry> services_;
  plugin::NameOwners names_;
  std::shared_ptr<IdentityProviders> identities_;
  std::shared_ptr<AuditProviders> audit_;
  std::shared_ptr<auth::Authenticator> authenticator_;
  std::unique_ptr<api::ApiServer> api_;
  std::unique_ptr<plugin::CoreServices> core_;
  std::unique_ptr<plugin::PluginHost> plugins_;
  std::unique_ptr<Reloader> reloader_; ///< run() under reloading_

  std::mutex reloading_; ///< one reload, of the configuration or of a plugin, at a time
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string storageProblem_; ///< the last one that was told. Of the timer alone
  bool retrying_ = false;      ///< a timer is set, under mutex_
  bool stop_ = false;
  bool reload_ = false;
};

} // namespace matrixos::daemon
