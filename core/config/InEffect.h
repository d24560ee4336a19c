#pragma once

#include "config/Config.h"

#include <set>
#include <string>
#include <vector>

namespace matrixos::config {

/// `now` with what of a newer reading can count at once: live keys, and whole sections of plugins that do not run,
/// since nothing of them has been read yet. The rest stays as it is, plugins.enabled included. The files are those of
/// `wanted`.
ConfigPtr takeOver(const Config &now, const Config &wanted, const std::set<std::string> &running);

/// `now` with the section as `from` has it.
ConfigPtr withSection(const Config &now, const std::string &section, const Config &from);

/// `now` with these plugins.enabled.
ConfigPtr withEnabled(const Config &now, const std::vector<std::string> &ids);

} // namespace matrixos::config
