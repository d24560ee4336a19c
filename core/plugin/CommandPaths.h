#pragma once

#include "plugin/Manifest.h"

#include <map>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// A command runs with the rights of the operator who types it, so it calls what is its plugin's own: paths that the
/// plugin claims, or those below "/<id>" where it claims none; it may GET what is the platform's. Whatever else it
/// calls has to be a path of a plugin that it needs. Sets `foreign` of the commands that do, and throws
/// Error(FailedPrecondition) when the plugin needs nobody.
void markForeignCommands(Manifest &manifest);

/// Plugins with a command that calls a path of a plugin that they do not need, or of nobody, with what and whose. What
/// a plugin that is not among these might have, but which the plugin can do without, is left open.
std::map<std::string, std::string> commandConflicts(const std::vector<const Manifest *> &plugins);

} // namespace matrixos::plugin
