#pragma once

#include "config/Schema.h"

#include <filesystem>

namespace matrixos::config {

/// The sections of the core: platform, api, plugins, log, storage. `pluginsPath` is what an empty plugins.path stands
/// for: the daemon passes the folder beside its own binary (../plugins) when there is one.
Schema coreSchema(const std::filesystem::path &pluginsPath = "/usr/lib/matrixos/plugins");

} // namespace matrixos::config
