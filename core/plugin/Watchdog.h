#pragma once

#include <matrixos/abi/base.h>

#include <chrono>
#include <functional>
#include <string>

namespace matrixos::plugin {

/// What a watched call came to.
struct WatchedResult {
  bool returned = false; ///< false: it hung, and its thread was left behind
  mos_status status = 0;
  mos_error error{};
};

/// Runs `call` on a thread of its own and waits for it, at most `timeout`. A call that hangs is abandoned with its
/// thread; it must therefore own, by shared pointers, everything it touches. An exception counts as MOS_INTERNAL.
WatchedResult runWatched(const std::string &threadName, std::chrono::milliseconds timeout,
                         std::function<mos_status(mos_error *)> call);

} // namespace matrixos::plugin
