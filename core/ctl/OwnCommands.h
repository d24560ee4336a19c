#pragma once

#include "ctl/CommandLine.h"

#include <vector>

namespace matrixos::ctl {

class Commands;

/// The commands that matrixosctl has without any plugin. `all` has them among others, for help and completion.
std::vector<CommandSpec> ownCommands(Commands &all);

} // namespace matrixos::ctl
