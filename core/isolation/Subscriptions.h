#pragma once

#include "isolation/FrameChannel.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace matrixos::isolation {

/// Events that a plugin's process has subscribed to, on the host's side. Of the one thread that looks after the
/// process; events come on threads of the host, and none of them waits for the process: what that does not read in time
/// is lost, which it is told (MOS_EVENT_LOST).
class Subscriptions {
public:
  explicit Subscriptions(const mos_host_v1 *host);
  ~Subscriptions();
  Subscriptions(const Subscriptions &) = delete;
  Subscriptions &operator=(const Subscriptions &) = delete;

  /// Another process asks from now on; what the one before it wanted ends.
  void attach(std::shared_ptr<FrameChannel> channel);
  void detach();
  /// `number`: what the process calls it. Throws Error as the host says, ResourceExhausted for too many, and
  /// Error("PROTOCOL") for a number that is taken.
  void subscribe(std::int64_t number, std::string_view prefix);
  /// Throws Error(NotFound).
  void unsubscribe(std::int64_t number);

private:
  struct Subscription {
    std::shared_ptr<FrameChannel> channel;
    std::int64_t number = 0;
    std::uint64_t handle = 0; ///< the host's
    std::uint64_t missed = 0; ///< events of which the process was not told; they come one at a time
  };

  static void happened(void *ctx, mos_str topic, mos_str json);

  const mos_host_events_v1 *const host_;
  std::shared_ptr<FrameChannel> channel_;
  std::map<std::int64_t, std::unique_ptr<Subscription>> all_;
};

} // namespace matrixos::isolation
