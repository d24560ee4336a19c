#pragma once

#include "plugin/PluginHost.h"

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace matrixos::daemon {

/// Finds plugins for the host: loads their files into the daemon, or has those that are isolated described, and later
/// carried, by matrixos-plugin-host. One call at a time.
class PluginFinder {
public:
  struct Options {
    std::set<std::string> isolated; ///< ids
    plugin::PluginTimeouts timeouts;
    /// Whether a file shows in a process of its own that it can be loaded, before it is loaded here.
    bool probe = false;
  };

  /// `program`: matrixos-plugin-host. `files` outlives this.
  PluginFinder(plugin::PluginFiles &files, std::filesystem::path program);

  /// `<folder>/<id>.so`. A file that has not changed since it was found is not looked at again, unless `anew`. Never
  /// throws for a bad file or a plugin that cannot be isolated: the error says what is wrong.
  plugin::DiscoveredPlugin find(const std::filesystem::path &folder, const std::string &id, const Options &options,
                                bool anew);

private:
  plugin::DiscoveredPlugin findIsolated(const std::filesystem::path &folder, const std::string &id,
                                        const plugin::PluginTimeouts &timeouts);

  plugin::PluginFiles &files_;
  const std::filesystem::path program_;
  std::map<std::filesystem::path, plugin::DiscoveredPlugin> isolated_; ///< found before
};

} // namespace matrixos::daemon
