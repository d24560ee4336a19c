#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::test {

/// The command that runs a script of this folder's kind (chromium.mjs) with Debian's Chromium; it ends with 0 when all
/// its cases pass. `given`: JSON for it. Nothing, with a message, where Chromium, Node.js or its packages are not to be
/// had; that fails the test where CI=true.
std::optional<std::vector<std::string>> chromiumScript(const std::filesystem::path &script, const std::string &given);

} // namespace matrixos::test
