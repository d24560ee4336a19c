#pragma once

#include "plugin/Manifest.h"

#include <map>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// In which order plugins start so that providers come before those who need them.
struct StartOrder {
  std::vector<std::string> order; ///< ids; stopping goes the other way
  std::map<std::string, std::string>
      failures; ///< id → why it cannot start (a name that another claims, missing need, cycle)

  /// Pure. Ties keep the order of `plugins`. A plugin whose required need fails, fails with it.
  static StartOrder of(const std::vector<const Manifest *> &plugins);
};

} // namespace matrixos::plugin
