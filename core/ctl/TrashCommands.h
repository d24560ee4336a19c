/// What is left of deleted instances: `trash …` and `handles release`.
#pragma once

#include "ctl/CommandLine.h"

namespace matrixos::ctl {

int trashList(const Invocation &invocation);
int trashRestore(const Invocation &invocation);
int trashPurge(const Invocation &invocation);
int handlesRelease(const Invocation &invocation);

} // namespace matrixos::ctl
