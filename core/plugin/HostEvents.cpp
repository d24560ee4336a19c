#include "plugin/HostContext.h"

namespace matrixos::plugin {

mos_host_events_v1 hostEventsTable(HostContext *context) {
  mos_host_events_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = context;
  table.publish = [](void *self, mos_str topic, mos_str json, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.core().events.publish(fromAbi(topic), fromAbi(json)); });
  };
  table.subscribe = [](void *self, mos_str prefix, void (*event)(void *, mos_str, mos_str), void *ctx,
                       std::uint64_t *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      *out = c.core().events.subscribe(
          c.owner(), fromAbi(prefix), [tag = c.tag(), event, ctx](std::string_view topic, std::string_view json) {
            containedCallback(tag, "an event handler", [&] { event(ctx, toAbi(topic), toAbi(json)); });
          });
    });
  };
  table.unsubscribe = [](void *self, std::uint64_t handle, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.core().events.unsubscribe(c.owner(), handle); });
  };
  return table;
}

} // namespace matrixos::plugin
