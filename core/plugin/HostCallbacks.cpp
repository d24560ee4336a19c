#include "common/HostTable.h"
#include "plugin/HostContext.h"

#include <chrono>
#include <string_view>

/// What calls a plugin back: events, timers, executor.
namespace matrixos::plugin {

mos_host_events_v1 hostEventsTable(HostContext *context) {
  auto table = common::hostTable<mos_host_events_v1>(context);
  table.publish = [](void *self, mos_str topic, mos_str json, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      const std::string name(fromAbi(topic));
      c.core().names.check(c.manifest().id, MOS_CLAIM_TOPIC, name);
      c.core().names.checkEvent(c.manifest().id, name, fromAbi(json));
      c.core().events.publish(fromAbi(topic), fromAbi(json));
    });
  };
  table.subscribe = [](void *self, mos_str prefix, void (*event)(void *, mos_str, mos_str), void *ctx,
                       std::uint64_t *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      *out = c.core().events.subscribe(
          c.owner(), fromAbi(prefix), [tag = c.tag(), event, ctx](std::string_view topic, std::string_view json) {
            callBackPlugin(tag, "an event handler", [&] { event(ctx, toAbi(topic), toAbi(json)); });
          });
    });
  };
  table.unsubscribe = [](void *self, std::uint64_t handle, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.core().events.unsubscribe(c.owner(), handle); });
  };
  return table;
}

mos_host_timers_v1 hostTimersTable(HostContext *context) {
  auto table = common::hostTable<mos_host_timers_v1>(context);
  table.schedule = [](void *self, std::int64_t delay, std::int64_t period, void (*fire)(void *), void *ctx,
                      std::uint64_t *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      *out =
          c.core().timers.schedule(c.owner(), std::chrono::milliseconds{delay}, std::chrono::milliseconds{period},
                                   [tag = c.tag(), fire, ctx] { callBackPlugin(tag, "a timer", [&] { fire(ctx); }); });
    });
  };
  table.cancel = [](void *self, std::uint64_t handle, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.core().timers.cancel(c.owner(), handle); });
  };
  return table;
}

mos_host_executor_v1 hostExecutorTable(HostContext *context) {
  auto table = common::hostTable<mos_host_executor_v1>(context);
  table.submit = [](void *self, void (*run)(void *), void (*drop)(void *), void *ctx, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      c.core().executor.submit(
          c.owner(), [tag = c.tag(), run, ctx] { callBackPlugin(tag, "a task", [&] { run(ctx); }); },
          [tag = c.tag(), drop, ctx] {
            if (drop != nullptr) callBackPlugin(tag, "drop() of a task", [&] { drop(ctx); });
          });
    });
  };
  return table;
}

} // namespace matrixos::plugin
