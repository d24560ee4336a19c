#include "ChromiumScript.h"

#include <support/NodePackages.h>

namespace matrixos::test {

std::optional<std::vector<std::string>> chromiumScript(const std::filesystem::path &script, const std::string &given) {
  if (!isHere(std::filesystem::exists("/usr/bin/chromium"), "Chromium")) return {};
  const auto packages = nodePackages(BROWSER_SOURCE, "browser");
  if (!packages) return {};
  return std::vector<std::string>{"node", script.string(), packages->string(), given};
}

} // namespace matrixos::test
