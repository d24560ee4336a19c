#pragma once

#include "config/RawConfig.h"

#include <string>
#include <string_view>

namespace matrixos::config {

/// Reads `; comment`, `# comment`, `[section]` and `key = value` lines. Nothing is interpolated. Every problem goes
/// to `into` with its line; reading goes on behind it.
void readIni(std::string_view text, const std::string &file, RawConfig &into);

} // namespace matrixos::config
