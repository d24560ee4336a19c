#pragma once

#include <matrixos/abi/plugin.h>

#include <string>
#include <string_view>

namespace matrixos::isolation::host {

/// Has the plugin look at the section (mos_descriptor_v1.check) that a SectionFrame holds, and gives what it said as
/// JSON: {"problems": [{"key", "text"}], "error": why it could not look}. Throws Error for a plugin that has no check.
std::string checkSection(const mos_descriptor_v1 *descriptor, std::string_view frame);

} // namespace matrixos::isolation::host
