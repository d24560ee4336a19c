#include "plugin/HostContext.h"

namespace matrixos::plugin {

mos_host_timers_v1 hostTimersTable(HostContext *context) {
  mos_host_timers_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = context;
  table.schedule = [](void *self, std::int64_t delay, std::int64_t period, void (*fire)(void *), void *ctx,
                      std::uint64_t *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      *out = c.core().timers.schedule(
          c.owner(), std::chrono::milliseconds{delay}, std::chrono::milliseconds{period},
          [tag = c.tag(), fire, ctx] { containedCallback(tag, "a timer", [&] { fire(ctx); }); });
    });
  };
  table.cancel = [](void *self, std::uint64_t handle, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.core().timers.cancel(c.owner(), handle); });
  };
  return table;
}

mos_host_executor_v1 hostExecutorTable(HostContext *context) {
  mos_host_executor_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = context;
  table.submit = [](void *self, void (*run)(void *), void (*drop)(void *), void *ctx, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      c.core().executor.submit(
          c.owner(), [tag = c.tag(), run, ctx] { containedCallback(tag, "a task", [&] { run(ctx); }); },
          [tag = c.tag(), drop, ctx] {
            if (drop != nullptr) containedCallback(tag, "drop() of a task", [&] { drop(ctx); });
          });
    });
  };
  return table;
}

} // namespace matrixos::plugin
