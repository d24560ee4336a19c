/// Announcements between plugins.
#pragma once

#include "common/Executor.h"
#include "common/Owner.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace matrixos::events {

struct EventBusOptions {
  /// Events that wait for one subscriber at most, and their bytes.
  std::size_t queuedEvents = 1024;
  std::size_t queuedBytes = std::size_t{4} << 20U;
  /// Threads that deliver, at most. There are as many as subscribers have something to do at the same time.
  std::size_t threads = 64;
  /// Told when a subscriber throws. Must not throw.
  std::function<void(common::Owner owner, std::string_view what)> onError;
};

/// Hands each event to every subscriber whose prefix its topic begins with: at most once, in order of publication,
/// one at a time per subscriber. A subscriber that is too slow misses events; all that it missed are replaced by one
/// "events.lost" {"missed": n}, after which it reads the state anew. A stuck subscriber holds up nobody else.
/// All functions are thread-safe.
class EventBus {
public:
  /// The texts are borrowed for the call.
  using Subscriber = std::function<void(std::string_view topic, std::string_view json)>;
  /// Never reused, never 0.
  using Handle = std::uint64_t;

  static constexpr std::size_t kLongestTopic = 128;
  static constexpr std::size_t kLongestJson = std::size_t{256} << 10U;

  explicit EventBus(EventBusOptions options = {});
  /// Delivers nothing more; waits up to 10 s for subscribers that run.
  ~EventBus();
  EventBus(const EventBus &) = delete;
  EventBus &operator=(const EventBus &) = delete;

  /// [loop] Throws Error(InvalidArgument) for an empty or oversized topic or an oversized text, Unavailable once
  /// stopped. The JSON is passed on as it is.
  void publish(std::string_view topic, std::string_view json);

  /// "instance." subscribes to all topics that begin so, "" to everything.
  Handle subscribe(common::Owner owner, std::string_view prefix, Subscriber subscriber);

  /// After it returns the subscriber neither runs nor will run, unless called from inside it. Throws Error(NotFound)
  /// for a stale handle or that of another owner.
  void unsubscribe(common::Owner owner, Handle handle);

  /// Ends all subscriptions of the owner; none of them is called any more. False when one still ran after `timeout`.
  bool sweep(common::Owner owner, std::chrono::nanoseconds timeout);

  std::size_t subscribers() const;

  /// Ends all subscriptions; later publishes fail. False when a subscriber still ran after `timeout`.
  bool stop(std::chrono::nanoseconds timeout);

private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

} // namespace matrixos::events
