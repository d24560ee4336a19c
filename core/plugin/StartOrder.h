#pragma once

#include "plugin/Manifest.h"

#include <map>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// In which order plugins start so that providers come before those who need them.
struct StartOrder {
  std::vector<std::string> order; ///< ids; stopping goes the other way
  /// id → why it cannot start: a name that another claims, a command that calls others' paths, a missing need, a cycle.
  std::map<std::string, std::string> failures;
  std::map<std::string, std::string> commandFailures; ///< those of them that are about commands

  /// Pure. Ties keep the order of `plugins`. A plugin whose required need fails, fails with it.
  static StartOrder of(const std::vector<const Manifest *> &plugins);
};

} // namespace matrixos::plugin
