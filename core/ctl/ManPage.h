#pragma once

#include "ctl/CommandLine.h"

#include <string>
#include <vector>

namespace matrixos::ctl {

/// matrixosctl(1) in the language of man(7), from the declared commands.
std::string manPage(const std::vector<CommandSpec> &commands, const std::string &version);

} // namespace matrixos::ctl
