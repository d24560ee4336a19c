#pragma once

#include "ctl/CommandLine.h"
#include "ctl/Declarations.h"

namespace matrixos::ctl {

/// A command that a plugin declares, as matrixosctl's own are: its action asks for confirmation, calls the route, shows
/// how it gets on and then what came of it.
CommandSpec declaredCommand(const DeclaringPlugin &plugin, const common::CommandDescription &command);

} // namespace matrixos::ctl
