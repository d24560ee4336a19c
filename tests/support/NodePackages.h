#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace matrixos::test {

/// Whether a test that needs something of the machine's goes on: true when it is here. Else it says so, and fails where
/// CI=true.
bool isHere(bool found, const std::string &what);

/// What a folder's committed package-lock.json names, installed by npm under the build, in a folder of that name with
/// the scripts of `source`. Nothing, with a message, where Node.js, npm or the packages are not to be had; that fails
/// the test where CI=true. Programs that ask at the same time wait for the one that installs.
std::optional<std::filesystem::path> nodePackages(const std::filesystem::path &source, const char *name);

} // namespace matrixos::test
