#include "common/CommandOwners.h"

#include <algorithm>

namespace matrixos::common {

std::string CommandOwners::claim(const std::string &plugin, const CommandDescription &command) {
  const std::string first = command.wordList().front();
  const auto &own = builtInWords();
  if (std::find(own.begin(), own.end(), first) != own.end()) return "matrixosctl has \"" + first + "\" itself";
  for (const auto &[owner, taken] : taken_) {
    const bool clashes = owner == plugin ? taken.wordList() == command.wordList() : taken.beginsLike(command);
    if (clashes) return "the plugin " + owner + " has \"" + taken.words + "\"";
  }
  taken_.emplace_back(plugin, command);
  return {};
}

const std::vector<std::string> &CommandOwners::builtInWords() {
  static const std::vector<std::string> words{"status", "plugins", "config", "reload",     "routes", "metrics",
                                              "login",  "logout",  "whoami", "completion", "help"};
  return words;
}

} // namespace matrixos::common
