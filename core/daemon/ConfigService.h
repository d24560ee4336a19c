#pragma once

#include "config/Config.h"
#include "config/Loader.h"
#include "config/Schema.h"
#include "daemon/CrashWatch.h"
#include "daemon/PluginFinder.h"
#include "plugin/PluginHost.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::daemon {

/// The daemon's configuration over time: loads, validates with the keys that the plugins declare, and reloads. Loads
/// come one at a time; current(), wanted() and replace() from any thread.
class ConfigService {
public:
  /// What one reading of the files gave.
  struct Loaded {
    config::ConfigPtr config;
    std::vector<plugin::DiscoveredPlugin> plugins; ///< those that are enabled, in the order of the configuration
    std::vector<std::string> warnings{};           ///< of what plugins think of their sections
  };

  /// Whether plugins are only asked for their keys, or shall run: then their copies lie in [plugins] copies.
  enum class Purpose { Check, Serve };

  /// `binaryDir`: the folder of the program, whose ../plugins is the default plugin folder where it exists.
  ConfigService(config::LoadOptions options, const std::filesystem::path &binaryDir, Purpose purpose);

  /// Reads everything anew; does not replace current(). `running`: plugins that say themselves what keys they have,
  /// whatever their files are by now, also when the configuration does not name them. Throws config::ConfigError with
  /// all that is wrong.
  Loaded load(const std::vector<plugin::DiscoveredPlugin> &running = {});
  /// current(), but with the section of `plugin` as the files are now and as it declares its keys. Throws
  /// config::ConfigError with all that is wrong in the files as they are now, and Error(InvalidArgument) for a plugin
  /// that declares its keys wrongly.
  config::ConfigPtr withPlugin(const plugin::DiscoveredPlugin &plugin, std::vector<plugin::DiscoveredPlugin> running);

  /// Finds a plugin the way the files say now: loaded here, or, for isolation=process, asked in a process of its own.
  /// `anew`: a new generation in any case. Never throws for a bad file.
  plugin::DiscoveredPlugin find(const std::string &id, bool anew);
  /// What plugins did to earlier runs; begins with the first load().
  CrashWatch &crashes() noexcept { return crashes_; }

  /// What is in effect.
  config::ConfigPtr current() const;
  /// What the files said when they were last read.
  config::ConfigPtr wanted() const;
  /// From then on no log shows a secret of either.
  void replace(config::ConfigPtr current, config::ConfigPtr wanted);

private:
  /// What is needed to find plugins: where they lie, and which of them are isolated.
  struct Preview;
  /// Lets the plugins look at their sections. Throws config::ConfigError with what they find; one that crashes or hangs
  /// in it is not fit to run.
  void checkSections(Loaded &loaded) const;
  Preview preview(const config::RawConfig &raw, const std::vector<std::string> &more = {});

  const config::LoadOptions options_;
  const Purpose purpose_;
  std::filesystem::path defaultPlugins_;
  const std::filesystem::path pluginHost_; ///< the program that carries isolated plugins
  CrashWatch crashes_;
  std::unique_ptr<plugin::PluginFiles> files_;
  std::unique_ptr<PluginFinder> finder_;
  mutable std::mutex mutex_;
  config::ConfigPtr current_;
  config::ConfigPtr wanted_;
};

} // namespace matrixos::daemon
