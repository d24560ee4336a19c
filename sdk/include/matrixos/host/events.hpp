/// matrixos/host/events.hpp: announcements between plugins, abi/host.h mos_host_events_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <string_view>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// Announcements between plugins. Subscriptions last until unsubscribe() or the Events object's end.
class Events {
public:
  using Handler = std::function<void(std::string_view topic, std::string_view json)>;

  explicit Events(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_events_v1>(host, MOS_HOST_EVENTS_1)) {}
  Events(const Events &) = delete;
  Events &operator=(const Events &) = delete;
  ~Events() { unsubscribeAll(); }

  void publish(std::string_view topic, std::string_view json) const {
    check([&](mos_error *e) { return table_->publish(table_->self, toAbi(topic), toAbi(json), e); });
  }
  /// Not thread-safe against itself; call it from start(). The handler must not throw.
  void subscribe(std::string_view topicPrefix, Handler handler) {
    Subscription &entry = subscriptions_.emplace_back();
    entry.handler = std::move(handler);
    try {
      check([&](mos_error *e) {
        return table_->subscribe(
            table_->self, toAbi(topicPrefix),
            [](void *ctx, mos_str topic, mos_str json) {
              (*static_cast<Handler *>(ctx))(fromAbi(topic), fromAbi(json));
            },
            &entry.handler, &entry.handle, e);
      });
    } catch (...) {
      subscriptions_.pop_back();
      throw;
    }
  }
  /// Waits for running handlers.
  void unsubscribeAll() noexcept {
    for (Subscription &entry : subscriptions_)
      table_->unsubscribe(table_->self, entry.handle, nullptr);
    subscriptions_.clear();
  }

private:
  struct Subscription {
    Handler handler;
    std::uint64_t handle = 0;
  };

  const mos_host_events_v1 *table_;
  std::list<Subscription> subscriptions_;
};

} // namespace v1
} // namespace matrixos
