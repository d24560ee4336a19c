#pragma once

#include <string_view>

namespace matrixos::common::fuzz {

/// Reads `json` as the commands of a plugin. Throws std::logic_error when some that were accepted do not come through
/// the ABI as they were, or break what whoever uses them counts on; refusals are no failure.
void checkCommands(std::string_view json);

} // namespace matrixos::common::fuzz
