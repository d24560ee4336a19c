#include "isolation/host/EventHandlers.h"

#include "isolation/host/CrashReporter.h"

#include <matrixos/abi/host.h>
#include <matrixos/status.hpp>

#include <string>
#include <utility>

namespace matrixos::isolation::host {

namespace {

common::ExecutorOptions threadOptions() {
  common::ExecutorOptions options;
  options.name = "events";
  options.threads = options.runningPerOwner = 1;
  return options;
}

} // namespace

EventHandlers::EventHandlers(DaemonLink &link) : link_(link), thread_(threadOptions()) {}

std::uint64_t EventHandlers::subscribe(std::string_view prefix, Handler handler, void *ctx) {
  auto made = std::make_shared<Subscription>();
  made->handler = handler;
  made->ctx = ctx;
  std::uint64_t number = 0;
  {
    // Before the daemon is asked: the first event may come before its answer.
    const std::lock_guard lock(mutex_);
    number = ++last_;
    all_.emplace(number, std::move(made));
  }
  try {
    link_.ask(question(Question::Subscribe, prefix, {}, static_cast<std::int64_t>(number)), [](const AnswerFrame &) {});
  } catch (...) {
    const std::lock_guard lock(mutex_);
    all_.erase(number);
    throw;
  }
  return number;
}

void EventHandlers::unsubscribe(std::uint64_t number) {
  const auto subscription = find(number);
  if (!subscription) throw Error(Status::NotFound, "no such subscription", "STALE_HANDLE");
  {
    const std::lock_guard lock(mutex_);
    all_.erase(number);
  }
  {
    const std::lock_guard lock(subscription->running);
    subscription->ended = true;
  }
  link_.ask(question(Question::Unsubscribe, {}, {}, static_cast<std::int64_t>(number)), [](const AnswerFrame &) {});
}

bool EventHandlers::close(std::chrono::nanoseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    all_.clear();
  }
  // Also what onFrame() has found before is refused from here on.
  thread_.close(common::kCoreOwner);
  return thread_.waitIdle(common::kCoreOwner, patience);
}

std::shared_ptr<EventHandlers::Subscription> EventHandlers::find(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto at = all_.find(number);
  return at == all_.end() ? nullptr : at->second;
}

void EventHandlers::onFrame(std::string_view payload) {
  const auto frame = decode<EventFrame>(payload);
  const auto subscription = find(static_cast<std::uint64_t>(frame.subscription));
  if (!subscription) return;
  const auto submit = [&](std::string topic, std::string json) {
    return guarded(nullptr, [&] {
             thread_.submit(common::kCoreOwner, [subscription, topic = std::move(topic), json = std::move(json)] {
               const std::lock_guard lock(subscription->running);
               if (subscription->ended) return;
               const CrashReporter::Scope scope("an event handler");
               subscription->handler(subscription->ctx, toAbi(topic), toAbi(json));
             });
           }) == MOS_OK;
  };
  std::uint64_t &missed = subscription->missed;
  if (missed > 0 && submit(MOS_EVENT_LOST, "{\"missed\":" + std::to_string(missed) + "}")) missed = 0;
  if (missed > 0 || !submit(std::string(frame.topic), std::string(frame.json))) ++missed;
}

} // namespace matrixos::isolation::host
