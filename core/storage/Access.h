/// For whom the database works, and for how long.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace matrixos::storage {

/// The platform where it works with its own tables; no id of a plugin.
inline constexpr const char *kCoreOwner = "#core";

/// Who asks for a statement.
struct Access {
  /// Sees and changes its own tables alone. "": the platform, to which all are open but its own; kCoreOwner: all.
  std::string owner{};
  /// How long the statements may run, their row callbacks included, waiting aside; 0: as long as they like.
  std::chrono::milliseconds runFor{0};
  /// When the answer has to be there, waiting included.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  /// Asked now and then while a statement runs: true ends it. Any thread; may be empty.
  std::function<bool()> cancelled{};

  /// For the platform's own statement, within the time of who asked for it.
  Access asCore() const {
    Access core = *this;
    core.owner = kCoreOwner;
    return core;
  }
};

} // namespace matrixos::storage
