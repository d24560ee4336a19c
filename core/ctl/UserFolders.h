#pragma once

#include <filesystem>

namespace matrixos::ctl {

/// The user's folder of a kind by the XDG Base Directory Specification: $XDG_CACHE_HOME for `variable`
/// "XDG_CACHE_HOME", else `usual`, such as ".cache", in the home. Empty where there is none.
std::filesystem::path userFolder(const char *variable, const char *usual);

} // namespace matrixos::ctl
