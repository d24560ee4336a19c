#pragma once

#include "Settings.h"

#include <vector>

namespace matrixos::conformance {

class RemoteRuntime;

/// restart: the process that hosts the plugin ends, in good order or killed, and the next one finds what is there.
std::vector<Case> restartCases(const Settings &settings, RemoteRuntime *remote);
/// Runs them against a plugin that lives in a process of its own.
void runRestartCases(const Settings &settings, const std::vector<Case> &selected, const CaseObserver &progress);
/// That process: hosts the plugin and carries out the calls that come over its socket.
int serve(const Settings &settings);

} // namespace matrixos::conformance
