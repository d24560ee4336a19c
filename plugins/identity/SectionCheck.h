#pragma once

#include <matrixos/plugin.hpp>

namespace matrixos::identity {

/// What --check says of [identity]: values with which nobody could sign in, or too many. Reads the files with the
/// provider's keys.
void checkSection(const Config &config, Problems &problems);

} // namespace matrixos::identity
