#pragma once

#include "ctl/CommandLine.h"

#include <vector>

namespace matrixos::ctl {

/// Everything matrixosctl can do.
const std::vector<CommandSpec> &commands();

/// Carries it out; the exit code. Throws Failure and UsageError.
int execute(const Invocation &invocation);

} // namespace matrixos::ctl
