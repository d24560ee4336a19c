#include "events/EventBus.h"

#include <matrixos/abi/host.h>
#include <matrixos/status.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace matrixos::events {
namespace {

struct Event {
  std::string topic;
  std::string json;
  std::size_t size() const { return topic.size() + json.size(); }
};

/// Events in a row that one subscriber gets before it queues up for a thread again.
constexpr int kTurn = 32;

} // namespace

/// Shared with the deliveries on the executor, which may outlive the EventBus when a subscriber is stuck.
class EventBus::Impl : public std::enable_shared_from_this<Impl> {
public:
  explicit Impl(EventBusOptions options);

  void publish(std::string_view topic, std::string_view json);
  Handle subscribe(common::Owner owner, std::string_view prefix, Subscriber &&subscriber);
  void unsubscribe(common::Owner owner, Handle handle);
  bool sweep(const common::Owner *owner, std::chrono::nanoseconds timeout, bool stop);
  std::size_t subscribers() const;
  bool end(std::chrono::nanoseconds timeout);

private:
  struct Subscription {
    common::Owner owner = 0;
    std::string prefix;
    Subscriber call;
    std::deque<std::shared_ptr<const Event>> queue;
    std::size_t bytes = 0;
    std::uint64_t missed = 0; ///< not 0: the marker is due once the queue is empty, and nothing is queued until then
    bool scheduled = false;   ///< a delivery waits or runs on the executor
    bool ended = false;
    std::thread::id runner; ///< inside the callback
  };
  using Shared = std::shared_ptr<Subscription>;

  void offer(Subscription &to, const std::shared_ptr<const Event> &event) const;
  void schedule(const Shared &subscription);
  void deliver(const Shared &subscription);
  std::shared_ptr<const Event> takeNext(Subscription &subscription) const;
  void finish(Subscription &subscription);
  void callOne(Subscription &subscription, const Event &event);

  const EventBusOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::map<Handle, Shared> subscriptions_;
  Handle last_ = 0;
  bool stopped_ = false;
  common::Executor executor_;
};

namespace {

common::ExecutorOptions executorOptions(const EventBusOptions &options) {
  common::ExecutorOptions result;
  result.name = "events";
  result.threads = options.threads;
  // Every subscription has one delivery in the queue at most, so the queue is bounded by their number.
  result.queuedPerOwner = static_cast<std::size_t>(-1);
  // One owner's stuck subscribers leave threads to the others.
  result.runningPerOwner = std::max<std::size_t>(options.threads / 4, 1);
  result.onError = options.onError;
  return result;
}

} // namespace

EventBus::Impl::Impl(EventBusOptions options) : options_(std::move(options)), executor_(executorOptions(options_)) {}

void EventBus::Impl::publish(std::string_view topic, std::string_view json) {
  if (topic.empty() || topic.size() > kLongestTopic) {
    throw Error(Status::InvalidArgument,
                "a topic has 1 to " + std::to_string(kLongestTopic) + " bytes, not " + std::to_string(topic.size()));
  }
  if (json.size() > kLongestJson) {
    throw Error(Status::InvalidArgument, "an event has at most " + std::to_string(kLongestJson) +
                                             " bytes; announce an id and let subscribers ask for the rest");
  }
  const auto event = std::make_shared<const Event>(Event{std::string(topic), std::string(json)});
  const std::lock_guard lock(mutex_);
  if (stopped_) throw Error(Status::Unavailable, "the event bus has stopped");
  for (const auto &[handle, subscription] : subscriptions_) {
    if (topic.substr(0, subscription->prefix.size()) != subscription->prefix) continue;
    offer(*subscription, event);
    schedule(subscription);
  }
}

/// Queues the event, or counts it as missed.
void EventBus::Impl::offer(Subscription &to, const std::shared_ptr<const Event> &event) const {
  // Once something was missed all is skipped until the subscriber was told, since it reads the state anew then.
  const bool full = to.queue.size() >= options_.queuedEvents || to.bytes + event->size() > options_.queuedBytes;
  if (to.missed > 0 || full) {
    ++to.missed;
    return;
  }
  to.queue.push_back(event);
  to.bytes += event->size();
}

/// With the lock held.
void EventBus::Impl::schedule(const Shared &subscription) {
  if (subscription->scheduled) return;
  auto self = shared_from_this();
  try {
    executor_.submit(subscription->owner, [self, subscription] { self->deliver(subscription); });
    subscription->scheduled = true;
  } catch (const Error &) {
    // No thread to be had: what waits is delivered with the next event.
  }
}

/// One turn of a subscriber: several events, then others get the thread.
void EventBus::Impl::deliver(const Shared &subscription) {
  for (int i = 0; i < kTurn; ++i) {
    std::shared_ptr<const Event> event;
    {
      const std::lock_guard lock(mutex_);
      event = takeNext(*subscription);
      if (!event) return finish(*subscription);
      subscription->runner = std::this_thread::get_id();
    }
    callOne(*subscription, *event);
    const std::lock_guard lock(mutex_);
    subscription->runner = {};
    if (subscription->ended) return finish(*subscription);
  }
  const std::lock_guard lock(mutex_);
  subscription->scheduled = false;
  if (!subscription->queue.empty() || subscription->missed > 0) schedule(subscription);
  if (!subscription->scheduled) idle_.notify_all();
}

std::shared_ptr<const Event> EventBus::Impl::takeNext(Subscription &subscription) const {
  if (subscription.ended) return nullptr;
  if (!subscription.queue.empty()) {
    auto event = std::move(subscription.queue.front());
    subscription.queue.pop_front();
    subscription.bytes -= event->size();
    return event;
  }
  const std::uint64_t missed = std::exchange(subscription.missed, 0);
  if (missed == 0) return nullptr;
  return std::make_shared<const Event>(Event{MOS_EVENT_LOST, "{\"missed\":" + std::to_string(missed) + "}"});
}

/// With the lock held.
void EventBus::Impl::finish(Subscription &subscription) {
  subscription.scheduled = false;
  idle_.notify_all();
}

void EventBus::Impl::callOne(Subscription &subscription, const Event &event) {
  try {
    subscription.call(event.topic, event.json);
  } catch (const std::exception &e) {
    if (options_.onError) options_.onError(subscription.owner, e.what());
  } catch (...) {
    if (options_.onError) options_.onError(subscription.owner, "unknown exception");
  }
}

EventBus::Handle EventBus::Impl::subscribe(common::Owner owner, std::string_view prefix, Subscriber &&subscriber) {
  if (!subscriber) throw Error(Status::InvalidArgument, "a subscription needs a function to call");
  auto subscription = std::make_shared<Subscription>();
  subscription->owner = owner;
  subscription->prefix = std::string(prefix);
  subscription->call = std::move(subscriber);
  const std::lock_guard lock(mutex_);
  if (stopped_) throw Error(Status::Unavailable, "the event bus has stopped");
  subscriptions_.emplace(++last_, std::move(subscription));
  return last_;
}

void EventBus::Impl::unsubscribe(common::Owner owner, Handle handle) {
  Shared subscription;
  std::unique_lock lock(mutex_);
  const auto found = subscriptions_.find(handle);
  if (found == subscriptions_.end() || found->second->owner != owner) {
    throw Error(Status::NotFound, "no subscription has the handle " + std::to_string(handle));
  }
  subscription = found->second;
  subscription->ended = true;
  if (subscription->runner == std::this_thread::get_id()) {
    subscriptions_.erase(found);
    return;
  }
  // It stays listed until it is idle, so that a second caller waits as well and a sweep sees it.
  idle_.wait(lock, [&] { return subscription->runner == std::thread::id{}; });
  subscriptions_.erase(handle);
}

bool EventBus::Impl::sweep(const common::Owner *owner, std::chrono::nanoseconds timeout, bool stop) {
  std::vector<Shared> swept;
  std::unique_lock lock(mutex_);
  if (stop) stopped_ = true;
  for (auto at = subscriptions_.begin(); at != subscriptions_.end();) {
    if (owner != nullptr && at->second->owner != *owner) {
      ++at;
      continue;
    }
    at->second->ended = true;
    swept.push_back(at->second);
    at = subscriptions_.erase(at);
  }
  const auto me = std::this_thread::get_id();
  return idle_.wait_for(lock, timeout, [&] {
    return std::all_of(swept.begin(), swept.end(), [&](const Shared &subscription) {
      return subscription->runner == std::thread::id{} || subscription->runner == me;
    });
  });
}

std::size_t EventBus::Impl::subscribers() const {
  const std::lock_guard lock(mutex_);
  return subscriptions_.size();
}

bool EventBus::Impl::end(std::chrono::nanoseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  const bool swept = sweep(nullptr, timeout, true);
  const auto left = std::max<std::chrono::nanoseconds>(until - std::chrono::steady_clock::now(), {});
  return executor_.stop(left) && swept;
}

EventBus::EventBus(EventBusOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {}
EventBus::~EventBus() {
  stop(std::chrono::seconds(10));
}

void EventBus::publish(std::string_view topic, std::string_view json) {
  impl_->publish(topic, json);
}
EventBus::Handle EventBus::subscribe(common::Owner owner, std::string_view prefix, Subscriber subscriber) {
  return impl_->subscribe(owner, prefix, std::move(subscriber));
}
void EventBus::unsubscribe(common::Owner owner, Handle handle) {
  impl_->unsubscribe(owner, handle);
}
bool EventBus::sweep(common::Owner owner, std::chrono::nanoseconds timeout) {
  return impl_->sweep(&owner, timeout, false);
}
std::size_t EventBus::subscribers() const {
  return impl_->subscribers();
}
bool EventBus::stop(std::chrono::nanoseconds timeout) {
  return impl_->end(timeout);
}

} // namespace matrixos::events
