#pragma once

#include "ctl/CommandLine.h"

#include <string>
#include <vector>

namespace matrixos::ctl {

/// The shells that completion() knows.
const std::vector<std::string> &completionShells();

/// A script for that shell that completes commands, options, and first arguments: files, or what the list with that
/// argument as its first column prints, of the same group of commands, else of the same plugin. Throws UsageError for
/// another shell.
std::string completion(const std::vector<CommandSpec> &commands, const std::string &shell);

} // namespace matrixos::ctl
