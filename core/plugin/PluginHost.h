#pragma once

#include "plugin/PluginFiles.h"
#include "plugin/PluginInstance.h"

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// A file of the plugin folder after a look at it: its manifest, or why there is none.
struct DiscoveredPlugin {
  std::string id;
  std::filesystem::path path;
  std::optional<Manifest> manifest;
  std::string error;
  FileFacts facts; ///< empty when there is an error
};

/// Loads `<folder>/<id>.so` for each id; never throws for a bad file. A file that has not changed since it was loaded
/// by `files` is not loaded again.
std::vector<DiscoveredPlugin> discoverPlugins(const std::filesystem::path &folder, const std::vector<std::string> &ids,
                                              PluginFiles &files = PluginFiles::temporary());
/// One of them; `anew`: a new generation in any case.
DiscoveredPlugin discoverPlugin(const std::filesystem::path &folder, const std::string &id, PluginFiles &files,
                                bool anew = false);

/// What operators see of a plugin.
struct PluginReport {
  Manifest manifest; ///< only the id is set when the file could not be loaded
  std::string path;
  PluginState state = PluginState::Disabled;
  std::string reason;
  std::int64_t sinceMs = 0;
  bool required = false;
  bool enabled = false;
};

/// All plugins of the daemon: starts them in the order of their needs, stops them in the opposite one, and enables or
/// disables single ones at run time. Operations come one at a time; reports from any thread.
class PluginHost {
public:
  struct Options {
    std::filesystem::path folder;
    std::set<std::string> required;
    PluginTimeouts timeouts;
  };

  PluginHost(CoreServices &core, Options options, std::vector<DiscoveredPlugin> enabled);
  ~PluginHost();

  /// Starts everything that is enabled; between two plugins it asks `stopRequested`. Throws
  /// Error(FailedPrecondition) when a required plugin did not start, naming it and the reason.
  void startAll(const std::function<bool()> &stopRequested);
  /// Stops all that run, the last started first.
  void stopAll();

  /// At run time. enable() loads the file if need be. Throws Error: NotFound for an id without a file,
  /// FailedPrecondition with the reason when it did not start, or when it is required (disable).
  void enable(const std::string &id);
  void disable(const std::string &id);

  /// Tells these plugins that their configuration changed; gives the refusals by id.
  std::map<std::string, std::string> reconfigure(const std::set<std::string> &ids);

  std::vector<PluginReport> reports() const;
  /// All enabled plugins run, degraded or not.
  bool ready() const;

private:
  struct Slot {
    std::unique_ptr<PluginInstance> instance; ///< null when the file could not be loaded
    DiscoveredPlugin found;
    bool enabled = true;
  };

  Slot *find(const std::string &id);
  void add(DiscoveredPlugin found);
  /// Starts every enabled plugin that does not run and whose needs are met.
  void startRunnable(const std::function<bool()> &stopRequested);
  PluginReport report(const Slot &slot) const;

  CoreServices &core_;
  const Options options_;
  std::mutex operation_;     ///< one start, stop, enable, disable at a time
  mutable std::mutex mutex_; ///< slots_
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::string> started_; ///< in the order they started; under operation_
};

} // namespace matrixos::plugin
