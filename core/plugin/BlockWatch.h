#pragma once

#include "plugin/PluginScope.h"

#include <cstdint>

namespace matrixos::plugin {

/// Around a call that must not block: one that takes half a second or longer is counted and logged, by the plugin's
/// name and the function's, when it returns or when somebody looks before. Costs a few nanoseconds beside the clock.
/// They nest.
class BlockWatch {
public:
  /// `what`: "completion of ", or "" for the function itself. Texts that stay.
  BlockWatch(const PluginTag *plugin, const char *what, const char *function) noexcept;
  ~BlockWatch();
  BlockWatch(const BlockWatch &) = delete;
  BlockWatch &operator=(const BlockWatch &) = delete;

  /// Reports the calls of all threads that have taken too long and still go on, now and then again. Any thread.
  static void look();
  /// Whether a call of the plugin has ever been reported. Cheap while none of any plugin has.
  static bool hasBlocked(const PluginTag *plugin);

private:
  struct Call {
    const PluginTag *plugin = nullptr;
    const char *what = nullptr;
    const char *function = nullptr;
    std::int64_t beganNs = 0;
  };
  class Seat;

  static void report(const Call &call, std::int64_t nowNs, bool goesOn) noexcept;

  const Call call_;
  Seat *const seat_; ///< where other threads see the call; null while the thread ends
  Call before_;
};

} // namespace matrixos::plugin
