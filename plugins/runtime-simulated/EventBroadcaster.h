#pragma once

#include "ContainerTable.h"

#include <matrixos/call.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::simulated {

/// Something that happened to a container.
struct SimulatedEvent {
  std::string_view type; ///< static: created, started, stopped, died, paused, unpaused, removed, oom
  std::string ref;
  std::string name;
  std::int64_t timeMs = 0;
  std::int32_t exitCode = 0;
  std::uint64_t serial = 0;   ///< the container's
  std::uint64_t sequence = 0; ///< of the event

  /// As abi/runtime.h says.
  std::string json() const;
};

/// Hands events to those who listen, to each in order and all of them. Who listens too slowly is cut off rather than
/// told half. Any thread.
class EventBroadcaster {
public:
  /// One listener. Destroy it before the hub.
  class Stream {
  public:
    ~Stream();
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;

    /// Waits for the next events. Throws Error(Cancelled), Error(DeadlineExceeded), or Error(Unavailable) when the
    /// engine stops, interrupted its streams, or has cut this one off. `stopFd`: readable when the engine stops.
    std::vector<SimulatedEvent> next(const Call &call, int stopFd);

  private:
    friend class EventBroadcaster;
    Stream(EventBroadcaster &hub, LabelFilter filter, std::uint64_t serial);
    void push(const SimulatedEvent &event);
    void end(const char *why);

    EventBroadcaster &hub_;
    const LabelFilter filter_;
    const std::uint64_t serial_; ///< of the only container that matters; 0: all
    const int fd_;
    std::deque<SimulatedEvent> waiting_; ///< under the hub's lock, as is what follows
    const char *ended_ = nullptr;
  };

  /// The filter's numbers have to be real: a name that no label has yet may still come.
  std::unique_ptr<Stream> listen(LabelFilter filter, std::uint64_t serial = 0);
  void publish(SimulatedEvent event, const Container &container);
  /// Ends all present streams with Error(Unavailable), as an engine does that restarts.
  std::size_t interrupt();
  std::uint64_t lastSequence() const;
  std::size_t listeners() const;

private:
  static constexpr std::size_t kMostWaiting = 250'000;

  mutable std::mutex mutex_;
  std::vector<Stream *> streams_;
  std::uint64_t sequence_ = 0;
};

} // namespace matrixos::simulated
