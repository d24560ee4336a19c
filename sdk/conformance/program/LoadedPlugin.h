#pragma once

#include "HostLife.h"

#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::conformance {

/// A plugin's file, loaded as the daemon does it: RTLD_NOW, RTLD_LOCAL, never unloaded.
class LoadedPlugin {
public:
  /// Throws std::runtime_error that says why it is no plugin.
  explicit LoadedPlugin(std::filesystem::path file);

  const mos_descriptor_v1 &descriptor() const noexcept { return *descriptor_; }
  const std::filesystem::path &file() const noexcept { return file_; }
  /// Names of all symbols that the file exports, by reading its ELF tables.
  std::vector<std::string> exports() const;

private:
  std::filesystem::path file_;
  const mos_descriptor_v1 *descriptor_ = nullptr;
};

/// One life of it in this process. Create, start, stop and destroy throw std::runtime_error with the plugin's words.
class PluginLife {
public:
  PluginLife(const LoadedPlugin &plugin, HostWork &work, const IniFile &config, const HostFacts &facts);
  /// Stops and destroys what is still alive.
  ~PluginLife();
  PluginLife(const PluginLife &) = delete;
  PluginLife &operator=(const PluginLife &) = delete;

  void create();
  void start();
  void stop();
  void destroy();
  /// The runtime under this instance name. Throws when it was not provided.
  const mos_runtime_v1 *runtime(const std::string &instance) const;
  HostLife &host() noexcept { return host_; }

private:
  const LoadedPlugin &plugin_;
  HostWork &work_;
  HostLife &host_;
  mos_plugin_v1 table_{};
  bool created_ = false;
  bool started_ = false;
};

} // namespace matrixos::conformance
