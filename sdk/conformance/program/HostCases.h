#pragma once

#include "LoadedPlugin.h"
#include "Settings.h"

#include <vector>

namespace matrixos::conformance {

/// host: how the plugin behaves towards whoever loads it. Each case gives it lives of its own.
std::vector<Case> hostCases(const Settings &settings, const LoadedPlugin *plugin, HostWork *work);

} // namespace matrixos::conformance
