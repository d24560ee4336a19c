#pragma once

#include <cstddef>

namespace matrixos::ctl {

/// In characters: that of the terminal on standard output, else what COLUMNS says, else 80.
std::size_t terminalWidth();

/// Whether the locale of the environment (LC_ALL, LC_CTYPE, LANG) is one of UTF-8.
bool showsUtf8();

} // namespace matrixos::ctl
