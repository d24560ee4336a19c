#include "isolation/Subscriptions.h"

#include "isolation/Frames.h"

#include <matrixos/host.hpp>
#include <matrixos/status.hpp>

#include <utility>

namespace matrixos::isolation {

namespace {

constexpr std::size_t kMost = 64;
/// Bytes that wait for the process to read, beyond which events are lost.
constexpr std::size_t kMostPending = 4U << 20U;

} // namespace

Subscriptions::Subscriptions(const mos_host_v1 *host)
    : host_(detail::hostTable<mos_host_events_v1>(host, MOS_HOST_EVENTS_1)) {}

Subscriptions::~Subscriptions() = default;

void Subscriptions::attach(std::shared_ptr<FrameChannel> channel) {
  channel_ = std::move(channel);
}

void Subscriptions::detach() {
  for (const auto &[number, subscription] : all_)
    host_->unsubscribe(host_->self, subscription->handle, nullptr);
  all_.clear();
  channel_.reset();
}

void Subscriptions::subscribe(std::int64_t number, std::string_view prefix) {
  if (all_.count(number) != 0) refuseFrame("two subscriptions of one number");
  if (all_.size() >= kMost) {
    throw Error(Status::ResourceExhausted, "the plugin's process has " + std::to_string(kMost) + " subscriptions",
                "ISOLATED");
  }
  auto made = std::make_unique<Subscription>();
  made->channel = channel_;
  made->number = number;
  check([&](mos_error *e) {
    return host_->subscribe(host_->self, toAbi(prefix), &Subscriptions::happened, made.get(), &made->handle, e);
  });
  all_.emplace(number, std::move(made));
}

void Subscriptions::unsubscribe(std::int64_t number) {
  const auto at = all_.find(number);
  if (at == all_.end()) throw Error(Status::NotFound, "no such subscription", "STALE_HANDLE");
  const auto ended = std::move(at->second);
  all_.erase(at);
  check([&](mos_error *e) { return host_->unsubscribe(host_->self, ended->handle, e); });
}

void Subscriptions::happened(void *ctx, mos_str topic, mos_str json) {
  auto &subscription = *static_cast<Subscription *>(ctx);
  const auto send = [&](std::string_view what, std::string_view text) {
    EventFrame frame;
    frame.subscription = subscription.number;
    frame.topic = what;
    frame.json = text;
    return subscription.channel->sendIfRoom(encode(frame), kMostPending);
  };
  std::uint64_t &missed = subscription.missed;
  const mos_status status = guarded(nullptr, [&] {
    if (missed > 0 && send(MOS_EVENT_LOST, "{\"missed\":" + std::to_string(missed) + "}")) missed = 0;
    if (missed > 0 || !send(fromAbi(topic), fromAbi(json))) ++missed;
  });
  if (status != MOS_OK) ++missed;
}

} // namespace matrixos::isolation
