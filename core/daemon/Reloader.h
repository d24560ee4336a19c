#pragma once

#include "config/Config.h"
#include "daemon/ConfigService.h"
#include "plugin/PluginHost.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace matrixos::daemon {

/// What a reload did, one line per key.
struct ReloadReport {
  std::vector<std::string> applied; ///< "[lifecycle] idle_timeout: 30m → 1h"
  std::vector<std::string> restart; ///< the same, for what takes a restart, with what has to be restarted
  /// "proxy: …": plugins that refused their section, which stays as it was, or that could not be started or stopped.
  std::vector<std::string> refused;
};

/// Brings what a daemon does to what the configuration's files say, as far as that is possible while it runs. Compares
/// with what is in effect, not with what was read before: what is refused, or waits for a restart, is told each time.
class Reloader {
public:
  struct Parts {
    ConfigService &configs;
    plugin::PluginHost &plugins;
    /// Reads the secrets as the configuration names them; gives what is another one than before: "the metrics token".
    std::function<std::vector<std::string>(const config::Config &)> replaceSecrets;
    /// Applies what the core itself reads.
    std::function<void(const config::Config &)> configureCore;
  };

  explicit Reloader(Parts parts) : parts_(std::move(parts)) {}

  /// One at a time. Throws config::ConfigError, and then nothing has changed.
  ReloadReport run();

  /// What the files said when they were last read and is not in effect, with what would change that: "[platform]
  /// domain: a.test → b.test (restart matrixosd)". Any thread.
  std::vector<std::string> notInEffect() const;

private:
  /// Gives each section of `touched` to its plugin; takes it back from those that refuse.
  void reconfigure(const config::Config &before, const std::set<std::string> &touched, ReloadReport &report);
  /// `again`: plugins that are tried once more.
  void applyPluginSet(const config::Config &before, const config::Config &wanted, const std::set<std::string> &again,
                      ReloadReport &report);
  std::set<std::string> running() const;
  bool isLoaded(const std::string &id) const;

  const Parts parts_;
  std::set<std::string> unsettled_; ///< plugins that refused or did not start
};

} // namespace matrixos::daemon
