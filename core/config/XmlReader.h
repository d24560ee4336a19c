#pragma once

#include "config/RawConfig.h"

#include <string>
#include <string_view>

namespace matrixos::config {

/// Reads <matrixos><section><key>value</key></section></matrixos>. Document types are refused, so there are neither
/// external nor self-made entities. Problems as with readIni, but malformed XML ends the reading.
void readXml(std::string_view text, const std::string &file, RawConfig &into);

} // namespace matrixos::config
