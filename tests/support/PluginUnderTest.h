#pragma once

#include "support/FakeHost.h"

#include <matrixos/abi/plugin.h>

#include <string>

namespace matrixos::test {

/// What the plugin in a file says of itself. The file is never closed, as in the daemon: callbacks and thread-local
/// destructors may outlive a plugin. Throws std::runtime_error.
const mos_descriptor_v1 &loadPlugin(const std::string &file);

/// A plugin from create() to destroy() within a host that outlives it. One thread.
class PluginUnderTest {
public:
  /// Throws Error when create() fails.
  PluginUnderTest(const mos_descriptor_v1 &plugin, const FakeHost &host);
  PluginUnderTest(const PluginUnderTest &) = delete;
  PluginUnderTest &operator=(const PluginUnderTest &) = delete;
  ~PluginUnderTest() { plugin_.destroy(plugin_.self); }

  mos_status start() { return plugin_.start(plugin_.self, &error_); }
  mos_status stop() { return plugin_.stop(plugin_.self, &error_); }
  mos_status reconfigure() { return plugin_.reconfigure(plugin_.self, &error_); }
  /// Of the last call that failed.
  std::string message() const { return error_.message; }
  std::string reason() const { return error_.reason; }

private:
  mos_plugin_v1 plugin_{};
  mos_error error_{};
};

} // namespace matrixos::test
