#pragma once

#include "plugin/KnownPolicies.h"
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
  bool quarantined = false; ///< it was not loaded, for the reason in `error`
  bool policy = false;      ///< it provides matrixos.policy/1; may be known where it is not loaded
  bool starved = false;     ///< `error` is a want of space, memory or descriptors: it is worth another try
  FileFacts facts;          ///< empty when there is an error
};

/// Loads `<folder>/<id>.so`; never throws for a bad file. A file that has not changed since it was loaded by `files` is
/// not loaded again; `anew`: a new generation in any case.
DiscoveredPlugin discoverPlugin(const std::filesystem::path &folder, const std::string &id, PluginFiles &files,
                                bool anew = false);

/// What operators see of a plugin.
struct PluginReport {
  Manifest manifest; ///< only the id is set when the file could not be loaded
  std::string path;
  FileFacts facts;              ///< of the file that was loaded; empty when there is none
  std::uint32_t generation = 0; ///< how many files were loaded for it since the daemon started
  PluginState state = PluginState::Disabled;
  std::string reason;
  std::int64_t sinceMs = 0;
  bool required = false;
  bool enabled = false;
  bool starved = false; ///< see DiscoveredPlugin
  bool runs = false;    ///< degraded or not
};

/// What a reload came to.
struct PluginReload {
  PluginReport before, after;
  /// What the old generation left behind when it did not stop as it should; empty when it did.
  std::string leftBehind;
};

/// All plugins of the daemon: starts them in the order of their needs, stops them in the opposite one, and enables,
/// disables or reloads single ones at run time. Operations come one at a time; reports from any thread.
class PluginHost {
public:
  struct Options {
    std::filesystem::path folder;
    std::set<std::string> required;
    PluginTimeouts timeouts;
    /// How long startAll() tries required plugins again that fail for what may pass; zero by default.
    std::chrono::milliseconds patience{0};
    /// Told what is missing before each of these tries. May be empty.
    std::function<void(const std::string &missing)> onWaiting;
    /// Lifted for a plugin that the operator enables; may be null.
    const Quarantine *quarantine = nullptr;
    /// Asked about plugins that cannot be looked at; nothing by default: none of them is a policy.
    std::optional<KnownPolicies> policies;
    /// Finds a plugin at run time; `anew`: also a file that has not changed counts as a new generation. By default
    /// discoverPlugin() with PluginFiles::temporary().
    std::function<DiscoveredPlugin(const std::string &id, bool anew)> discover;
    /// Asked before a file that was loaded at run time takes its place. Throws Error when the configuration does not
    /// fit it; else gives what makes the configuration fit: called with true before the new plugin is created, and with
    /// false if the old one has to run again. May be empty.
    std::function<std::function<void(bool forNew)>(const DiscoveredPlugin &candidate)> prepare;
  };

  PluginHost(CoreServices &core, Options options, std::vector<DiscoveredPlugin> enabled);
  ~PluginHost();

  /// Starts everything that is enabled; between two plugins it asks `stopRequested`. Throws Error when a required
  /// plugin did not start, naming it and the reason, with the status of what was in its way.
  void startAll(const std::function<bool()> &stopRequested);
  /// Tries again what is enabled and did not start for a cause that may be gone by now, and what waited for it. True
  /// when there is something left to try. Does nothing while another operation is going on.
  bool retry(const std::function<bool()> &stopRequested);
  /// Stops all that run, the last started first.
  void stopAll();

  /// At run time. enable() loads the file if it was not, or if it has changed while the plugin was stopped. Throws
  /// Error: NotFound for an id without a file, FailedPrecondition with the reason when it did not start, or when it is
  /// required (disable).
  void enable(const std::string &id);
  void disable(const std::string &id);
  /// Replaces an enabled plugin by what its file is now. The new generation is loaded and checked (file, descriptor,
  /// needs of it and of those that need it, configuration) while the old one still runs; then the old one is drained
  /// and stopped and the new one started. Proxies to its services go on and reach the new one. Throws Error
  /// (FailedPrecondition, NotFound, what PluginFile::load throws) when the new generation is refused, and the old one
  /// runs on; or when it did not start, and the old one was started again, both told in the message.
  PluginReload reload(const std::string &id);

  /// What was loaded for the plugins that are enabled.
  std::vector<DiscoveredPlugin> loaded() const;

  /// Tells these plugins that their configuration changed; gives the refusals by id.
  std::map<std::string, std::string> reconfigure(const std::set<std::string> &ids);

  std::vector<PluginReport> reports() const;
  bool runs(const std::string &id) const;
  /// All enabled plugins run, degraded or not.
  bool ready() const;

private:
  struct Slot {
    std::unique_ptr<PluginInstance> instance; ///< null when the file could not be loaded
    DiscoveredPlugin found;
    std::uint32_t generation = 0;
    bool enabled = true;
  };

  Slot *find(const std::string &id);
  void switchTo(Slot &slot, bool enabled);
  /// Tells the core what the plugins provide and claim.
  void expect();
  void add(DiscoveredPlugin found);
  DiscoveredPlugin discover(const std::string &id, bool anew) const;
  /// Throws Error when the configuration does not fit.
  std::function<void(bool)> prepare(const DiscoveredPlugin &candidate) const;
  /// Puts what was loaded into the slot, as its next generation; gives what was there.
  std::unique_ptr<PluginInstance> place(Slot &slot, DiscoveredPlugin found);
  /// Under mutex_: names the commands of the plugin that those before it have.
  void logRefusedCommands(const Slot &slot) const;
  /// Loads the file for a plugin that does not run, when there is need to.
  Slot &loadStopped(const std::string &id);
  /// A file that was loaded and may take the place of the one that runs.
  struct Candidate {
    DiscoveredPlugin found;
    std::function<void(bool)> configure;
  };
  /// Throws Error when the file, the needs or the configuration forbid it.
  Candidate loadCandidate(const Slot &slot);
  /// Throws Error when somebody holds a service of the plugin that no proxy stands before.
  void checkLeases(const std::string &id) const;
  /// Throws Error when the candidate, in the place of its predecessor, or another plugin could not run with it.
  void checkNeeds(const Slot &slot, const Manifest &candidate);
  /// Stops the old one and starts the new one, or the old one again, and then throws Error.
  PluginReload replace(Slot &slot, Candidate candidate);
  /// Which of the plugins that failed are started again.
  enum class Again { All, WorthARetry };
  /// Starts every enabled plugin that does not run and whose needs are met.
  void startRunnable(const std::function<bool()> &stopRequested, Again again);
  void startOne(PluginInstance &instance);
  /// Why the database cannot have the plugin among those who have tables; "" when it can.
  std::string admit(const Manifest &manifest, Status &cause);
  bool anyWorthARetry() const;
  /// What of the required does not run, and why; an empty reason when all do. `cause`: of one that no waiting will
  /// help, if there is such.
  std::string missing(Status &cause) const;
  /// What keeps the plugin from running, or the one that it waits for, and so on.
  Status causeOf(const Slot &slot, std::size_t depth = 0) const;
  PluginReport report(const Slot &slot) const;
  PluginReport reportOf(const Slot &slot) const;

  CoreServices &core_;
  const Options options_;
  std::mutex operation_;     ///< one start, stop, enable, disable, reload at a time
  mutable std::mutex mutex_; ///< slots_
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::string> started_; ///< those who need come after their providers; under operation_
  bool ended_ = false;               ///< stopAll() came; under operation_
};

} // namespace matrixos::plugin
