#pragma once

#include "config/Schema.h"

#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::config {

/// The sections of the core: platform, api, plugins, log, storage. `pluginsPath` is what an empty plugins.path stands
/// for: the daemon passes the folder beside its own binary (../plugins) when there is one.
Schema coreSchema(const std::filesystem::path &pluginsPath = "/usr/lib/matrixos/plugins");

/// Sections of the core that every plugin may read, but for secrets.
const std::vector<std::string> &sharedSections();

/// The key that the host itself adds to the section of every plugin that provides a runtime: where it runs.
const mos_config_key &isolationKey() noexcept;

/// What an empty plugins.path stands for, for a program in that folder: ../plugins where it exists, else
/// /usr/lib/matrixos/plugins.
std::filesystem::path defaultPluginsPath(const std::filesystem::path &binaryDir);

} // namespace matrixos::config
