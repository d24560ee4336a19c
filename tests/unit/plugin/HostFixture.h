#pragma once

#include "auth/Authenticator.h"
#include "config/Config.h"
#include "config/CoreSchema.h"
#include "config/Loader.h"
#include "config/Validator.h"
#include "plugin/CoreServices.h"
#include "plugin/PluginHost.h"
#include "support/HttpClient.h"
#include "support/Process.h"
#include "support/TempDir.h"

#include <unistd.h>

#include <memory>

namespace matrixos::test {

inline std::filesystem::path testPlugins() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "test-plugins";
}

/// The daemon's parts without the daemon, in a temporary folder, so that a test can hold the plugin host itself.
class HostFixture {
public:
  HostFixture()
      : database({dir / "db.sqlite"}), timers(executor), services(nullptr),
        api(apiOptions()), core{[this] { return config; },
                                [] { return std::string("{}"); },
                                database,
                                metrics,
                                events,
                                api,
                                executor,
                                timers,
                                services,
                                names} {
    loadConfig({});
    api.start();
  }
  ~HostFixture() {
    host.reset();
    api.stop(std::chrono::seconds{5});
  }

  /// A host for these plugins, not yet started.
  plugin::PluginHost &makeHost(const std::vector<std::string> &ids, std::set<std::string> required = {},
                               std::chrono::milliseconds timeout = std::chrono::seconds{20}) {
    loadConfig(ids);
    plugin::PluginHost::Options options{testPlugins(), std::move(required), {timeout, timeout}};
    host = std::make_unique<plugin::PluginHost>(core, options, discovered(ids));
    return *host;
  }
  void startAll() {
    host->startAll([] { return false; });
  }
  plugin::PluginReport report(const std::string &id) const {
    for (const auto &report : host->reports()) {
      if (report.manifest.id == id) return report;
    }
    return {};
  }
  Response get(const std::string &target) const { return request(dir / "api.sock", "GET", target); }

  TempDir dir;
  config::ConfigPtr config;
  storage::Database database;
  metrics::Metrics metrics;
  events::EventBus events;
  common::Executor executor;
  common::Timers timers;
  plugin::ServiceRegistry services;
  plugin::NameOwners names;
  api::ApiServer api;
  plugin::CoreServices core;
  std::unique_ptr<plugin::PluginHost> host;

private:
  static std::vector<plugin::DiscoveredPlugin> discovered(const std::vector<std::string> &ids) {
    std::vector<plugin::DiscoveredPlugin> found;
    for (const std::string &id : ids)
      found.push_back(plugin::discoverPlugin(testPlugins(), id, plugin::PluginFiles::temporary()));
    return found;
  }

  void loadConfig(const std::vector<std::string> &ids) {
    config::Schema schema = config::coreSchema();
    for (const auto &found : discovered(ids)) {
      if (found.manifest) schema.addPlugin(found.id, "", found.manifest->abiConfigKeys());
    }
    config::LoadOptions options;
    options.sets = {"platform.data_dir=" + dir.path().string(), "plugins.enabled=", "api.public_routes=/*"};
    config = config::validate(config::load(options), schema);
  }

  api::ApiServerOptions apiOptions() const {
    api::ApiServerOptions options;
    options.listen.push_back({"unix:" + (dir / "api.sock").string(), auth::ApiSocket::Admin});
    auth::Authenticator::Options auth;
    auth.ownUid = ::geteuid();
    options.authenticator = std::make_shared<const auth::Authenticator>(auth);
    options.workers = 16;
    return options;
  }
};

} // namespace matrixos::test
