#pragma once

#include "common/CommandDescription.h"
#include "ctl/DeclarationCache.h"
#include "ctl/Settings.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::ctl {

/// The commands that one plugin declares.
struct DeclaringPlugin {
  std::string id;
  bool enabled = false; ///< in the configuration, as far as that says anything about the daemon
  std::vector<common::CommandDescription> commands;
};

/// Finds the commands of plugins, one plugin after the other: those that are enabled in the order of the configuration,
/// then what else is installed, by name. A plugin's file is asked, in a confined process without rights, unless the
/// cache knows what it says. Of files that the daemon would not load, since others could have written them, nothing is
/// taken.
class Declarations {
public:
  explicit Declarations(Settings settings);

  /// Nothing when all have been.
  std::optional<DeclaringPlugin> next();

private:
  std::optional<std::vector<common::CommandDescription>> commandsOf(const std::string &id);

  const Settings settings_;
  DeclarationCache cache_;
  std::vector<std::string> ids_;
  std::size_t at_ = 0;
};

} // namespace matrixos::ctl
