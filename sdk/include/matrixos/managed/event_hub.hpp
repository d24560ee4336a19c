/// matrixos/managed/event_hub.hpp: one stream of events to many subscribers.
#pragma once

#include <matrixos/call.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/managed/json_reader.hpp>

#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {
namespace managed {

/// Hands every event to every subscriber whose filter it passes, in the order of publish(). A subscriber that falls
/// kMaxQueued behind is told so and has to list anew; publishers never wait for it. Thread-safe.
class EventHub {
public:
  static constexpr std::size_t kMaxQueued = 1024;

  void publish(const std::map<std::string, std::string> &labels, const std::string &json) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Subscriber *subscriber : subscribers_) {
      if (!matches(subscriber->filter, labels)) continue;
      // Nothing follows a gap: what is queued is delivered, then the subscriber is told.
      subscriber->lost = subscriber->lost || subscriber->queue.size() >= kMaxQueued;
      if (!subscriber->lost) subscriber->queue.push_back(json);
      subscriber->wake();
    }
  }

  /// Ends all streams, now and later ones, with Error(Unavailable).
  void shutdown() {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    for (Subscriber *subscriber : subscribers_)
      subscriber->wake();
  }

  /// Blocks and hands on events until `item` answers false. Throws Error(Cancelled, DeadlineExceeded), or
  /// Error(Unavailable) after shutdown() and, with reason EVENTS_LOST, when the subscriber was too slow.
  void subscribe(const Call &call, std::map<std::string, std::string> filter,
                 const std::function<bool(std::string_view)> &item) {
    Subscription subscription(*this, std::move(filter));
    for (;;) {
      call.throwIfDone();
      for (const std::string &json : subscription.take()) {
        if (!item(json)) return;
        if (call.cancelled()) call.throwIfDone();
      }
      subscription.wait(call);
    }
  }

private:
  struct Subscriber {
    std::map<std::string, std::string> filter;
    std::deque<std::string> queue;
    bool lost = false;
    FileDescriptor event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

    void wake() const noexcept {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(event.get(), &one, sizeof one);
    }
  };

  class Subscription {
  public:
    Subscription(EventHub &hub, std::map<std::string, std::string> filter) : hub_(hub) {
      self_.filter = std::move(filter);
      if (!self_.event) throw Error(Status::ResourceExhausted, "no file descriptor is left for a stream of events");
      const std::lock_guard<std::mutex> lock(hub_.mutex_);
      hub_.subscribers_.insert(&self_);
    }
    Subscription(const Subscription &) = delete;
    Subscription &operator=(const Subscription &) = delete;
    ~Subscription() {
      const std::lock_guard<std::mutex> lock(hub_.mutex_);
      hub_.subscribers_.erase(&self_);
    }

    std::deque<std::string> take() {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto cleared = ::read(self_.event.get(), &count, sizeof count);
      const std::lock_guard<std::mutex> lock(hub_.mutex_);
      if (hub_.stopped_) throw Error(Status::Unavailable, "the runtime is stopping", "STOPPING");
      if (self_.lost && self_.queue.empty()) {
        throw Error(Status::Unavailable, "events were lost because they were not taken fast enough: list, then listen",
                    "EVENTS_LOST");
      }
      if (self_.lost) self_.wake();
      return std::exchange(self_.queue, {});
    }

    void wait(const Call &call) const {
      // The cap serves callers without a cancel descriptor.
      const auto time = call.remaining(std::chrono::milliseconds{call.cancelFd() < 0 ? 100 : 10'000});
      std::array<pollfd, 2> fds{{{self_.event.get(), POLLIN, 0}, {call.cancelFd(), POLLIN, 0}}};
      static_cast<void>(::poll(fds.data(), fds.size(), static_cast<int>(time.count()) + 1));
    }

  private:
    EventHub &hub_;
    Subscriber self_;
  };

  std::mutex mutex_;
  std::set<Subscriber *> subscribers_;
  bool stopped_ = false;
};

} // namespace managed
} // namespace v1
} // namespace matrixos
