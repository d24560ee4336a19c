#pragma once

#include "plugin/PluginHost.h"
#include "support/HttpClient.h"
#include "support/Process.h"
#include "support/TempDir.h"
#include "testhost/Platform.h"

#include <memory>

namespace matrixos::test {

inline std::filesystem::path testPlugins() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "test-plugins";
}

/// The platform without the daemon, in a temporary folder, so that a test can hold the plugin host itself.
class HostFixture {
public:
  HostFixture() : platform({dir.path()}) {}
  ~HostFixture() { host.reset(); }

  /// A host for these plugins, not yet started.
  plugin::PluginHost &makeHost(const std::vector<std::string> &ids, std::set<std::string> required = {},
                               std::chrono::milliseconds timeout = std::chrono::seconds{20}) {
    std::vector<plugin::DiscoveredPlugin> found;
    for (const std::string &id : ids)
      found.push_back(plugin::discoverPlugin(testPlugins(), id, plugin::PluginFiles::temporary()));
    platform.setConfig(platform.configurationOf(found, {}));
    plugin::PluginHost::Options options{testPlugins(), std::move(required), {timeout, timeout}};
    host = std::make_unique<plugin::PluginHost>(platform.core, options, std::move(found));
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
  Response get(const std::string &target) const { return request(platform.adminSocket(), "GET", target); }

  TempDir dir;
  testhost::Platform platform;
  common::Timers &timers = platform.timers;
  plugin::ServiceRegistry &services = platform.services;
  std::unique_ptr<plugin::PluginHost> host;
};

} // namespace matrixos::test
