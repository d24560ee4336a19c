#pragma once

#include "common/CommandDescription.h"

namespace matrixos::common {

/// Throws Error(FailedPrecondition) with the first rule of mos_command (abi/command.h) that the command breaks. It
/// comes from strangers.
void checkCommand(const CommandDescription &command);

} // namespace matrixos::common
