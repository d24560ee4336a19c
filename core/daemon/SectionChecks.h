#pragma once

#include "config/Config.h"
#include "plugin/PluginHost.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::daemon {

/// Has the plugins look at their sections (mos_descriptor_v1.check), each in a confined process of its own.
class SectionChecks {
public:
  /// `program`: matrixos-plugin-host. `plugins`: all that are enabled.
  SectionChecks(std::filesystem::path program, const config::Config &config,
                const std::vector<plugin::DiscoveredPlugin> &plugins);

  /// One plugin's, if it is enabled and looks. Throws Error(FailedPrecondition) when it crashed, hung or failed: the
  /// configuration may be fine, the plugin is not.
  void run(const plugin::DiscoveredPlugin &plugin);

  /// What the plugins found wrong, one line each as for declared types: `x.ini:3: [identity] issuer: …`. No secret of
  /// the section stands in one.
  std::vector<std::string> takeProblems() { return std::move(problems_); }
  /// What they only warn of, the same way.
  std::vector<std::string> takeWarnings() { return std::move(warnings_); }

private:
  std::string lineOf(const std::string &section, const std::string &key, const std::string &text) const;

  const std::filesystem::path program_;
  const config::Config &config_;
  const std::chrono::milliseconds patience_;
  std::vector<std::string> services_; ///< that enabled plugins have in their descriptors
  std::vector<std::string> problems_, warnings_;
};

} // namespace matrixos::daemon
