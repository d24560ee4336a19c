#pragma once

#include "ctl/CommandLine.h"

#include <string>

namespace matrixos::ctl {

// The `plugins …` commands; each gives the program's exit code.

int pluginsList(const Invocation &invocation);
int pluginsInfo(const Invocation &invocation);
/// `verb`: of the route; `done`: what to say afterwards.
int pluginsSwitch(const Invocation &invocation, const std::string &verb, const std::string &done);
int pluginsReload(const Invocation &invocation);
/// 1 when something is wrong with one of them.
int pluginsDoctor(const Invocation &invocation);

} // namespace matrixos::ctl
