#pragma once

#include "common/Executor.h"
#include "isolation/host/DaemonLink.h"

#include <matrixos/abi/base.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

namespace matrixos::isolation::host {

/// What the plugin does with events, which the daemon sends. Thread-safe; one event is handled at a time.
class EventHandlers {
public:
  using Handler = void (*)(void *ctx, mos_str topic, mos_str json);

  explicit EventHandlers(DaemonLink &link);

  /// Throws Error as the daemon says.
  std::uint64_t subscribe(std::string_view prefix, Handler handler, void *ctx);
  /// After it returns the handler neither runs nor will, unless called from inside it. Throws Error(NotFound).
  void unsubscribe(std::uint64_t number);
  /// The plugin has stopped: no handler begins any more. False when one still ran after `patience`.
  bool close(std::chrono::nanoseconds patience);

  /// On the receiving thread. Throws Error("PROTOCOL").
  void onFrame(std::string_view payload);

private:
  struct Subscription {
    Handler handler;
    void *ctx;
    std::recursive_mutex running; ///< held while the handler is; it may unsubscribe itself
    bool ended = false;
    std::uint64_t missed = 0; ///< events of which it was not told; of the receiving thread
  };

  std::shared_ptr<Subscription> find(std::uint64_t number);

  DaemonLink &link_;
  std::mutex mutex_; ///< all_
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Subscription>> all_;
  common::Executor thread_; ///< one, for their order
};

} // namespace matrixos::isolation::host
