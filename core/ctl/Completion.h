#pragma once

#include "ctl/CommandLine.h"

#include <string>
#include <vector>

namespace matrixos::ctl {

/// The shells that completion() knows.
const std::vector<std::string> &completionShells();

/// A script for that shell that completes commands, options, and the names of instances and plugins, which it asks the
/// daemon for. Throws UsageError for another shell.
std::string completion(const std::vector<CommandSpec> &commands, const std::string &shell);

} // namespace matrixos::ctl
