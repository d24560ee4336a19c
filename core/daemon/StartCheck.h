#pragma once

#include "config/Config.h"
#include "plugin/PluginHost.h"

#include <string>
#include <vector>

namespace matrixos::daemon {

/// What only a start would show of a configuration whose values are fine: plugins that are not there, that cannot run,
/// or not together; a secret, a data directory, a socket's path or a certificate that the daemon would refuse. One line
/// each; nothing is started or made.
std::vector<std::string> checkStart(const config::Config &config, const std::vector<plugin::DiscoveredPlugin> &plugins);

} // namespace matrixos::daemon
