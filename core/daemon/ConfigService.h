#pragma once

#include "config/Config.h"
#include "config/Loader.h"
#include "config/Schema.h"
#include "plugin/PluginHost.h"

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::daemon {

/// The daemon's configuration over time: loads, validates with the keys that the plugins declare, and reloads.
class ConfigService {
public:
  /// What one reading of the files gave.
  struct Loaded {
    config::ConfigPtr config;
    std::vector<plugin::DiscoveredPlugin> plugins; ///< those that are enabled, in the order of the configuration
  };

  /// `binaryDir`: the folder of the program, whose ../plugins is the default plugin folder where it exists.
  ConfigService(config::LoadOptions options, const std::filesystem::path &binaryDir);

  /// Reads everything anew; does not replace current(). Throws config::ConfigError with all that is wrong.
  Loaded load() const;

  config::ConfigPtr current() const;
  void replace(config::ConfigPtr config);

private:
  config::LoadOptions options_;
  std::filesystem::path defaultPlugins_;
  mutable std::mutex mutex_;
  config::ConfigPtr current_;
};

} // namespace matrixos::daemon
