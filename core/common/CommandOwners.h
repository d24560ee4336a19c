#pragma once

#include "common/CommandDescription.h"

#include <string>
#include <utility>
#include <vector>

namespace matrixos::common {

/// What matrixosctl and the daemon agree on: which plugin has a command that several declare.
class CommandOwners {
public:
  /// Why the plugin does not get the command, as half a sentence; empty when it does. The first one to claim gets it,
  /// and what begins with its words, or is the beginning of them, is nobody else's.
  std::string claim(const std::string &plugin, const CommandDescription &command);

  /// First words of the commands that matrixosctl has itself.
  static const std::vector<std::string> &builtInWords();

private:
  std::vector<std::pair<std::string, CommandDescription>> taken_;
};

} // namespace matrixos::common
