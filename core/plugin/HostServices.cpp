#include "common/HostTable.h"
#include "plugin/HostContext.h"

#include <chrono>
#include <string>

/// What a plugin offers to others and uses of them: services.
namespace matrixos::plugin {

namespace {

/// Long enough for calls that end soon; what takes longer is swept after stop().
constexpr std::chrono::milliseconds kWithdrawTimeout{5000};

const Manifest::Provide &declared(const HostContext &context, mos_str service, mos_str instance) {
  const std::string id(fromAbi(service)), which(fromAbi(instance));
  if (const Manifest::Provide *provided = context.manifest().findProvide(id, which)) return *provided;
  throw Error(Status::FailedPrecondition, "the plugin provides " + id + (which.empty() ? "" : " \"" + which + "\"") +
                                              " without saying so in its descriptor");
}

void provide(HostContext &context, mos_str service, mos_str instance, auto... what) {
  const Manifest::Provide &provided = declared(context, service, instance);
  context.core().services.provide(context.consumer().plugin, provided.service, provided.instance, what...);
}

void withdraw(HostContext &context, mos_str service, mos_str instance) {
  const Manifest::Provide &provided = declared(context, service, instance);
  const std::string life = context.consumer().plugin;
  if (!context.core().services.withdraw(life, provided.service, provided.instance, kWithdrawTimeout))
    throw Error(Status::DeadlineExceeded, "calls are still inside " + provided.service, "CALLS_INSIDE");
}

const void *acquire(HostContext &context, mos_str service, mos_str instance) {
  const std::string id(fromAbi(service)), which(fromAbi(instance));
  if (!context.manifest().needsService(id, which)) {
    throw Error(Status::FailedPrecondition, "the plugin uses " + id + (which.empty() ? "" : " \"" + which + "\"") +
                                                " without saying so in its descriptor's needs");
  }
  return context.core().services.acquire(context.consumer(), id, which, context.manifest().isolated);
}

} // namespace

mos_host_services_v1 hostServicesTable(HostContext *context) {
  auto table = common::hostTable<mos_host_services_v1>(context);
  table.provide = [](void *self, mos_str service, mos_str instance, const void *provided, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { provide(c, service, instance, provided); });
  };
  table.provide_forwarder = [](void *self, mos_str service, mos_str instance, mos_forwarder_v1 *forwarder,
                               std::uint32_t minor, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { provide(c, service, instance, forwarder, minor); });
  };
  table.withdraw = [](void *self, mos_str service, mos_str instance, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { withdraw(c, service, instance); });
  };
  table.acquire = [](void *self, mos_str service, mos_str instance, const void **out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { *out = acquire(c, service, instance); });
  };
  table.declared = [](void *self, mos_str service, mos_sink instances, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      const config::ConfigPtr config = c.core().config();
      for (const auto &[entry, enabled] : c.core().services.expected(std::string(fromAbi(service)))) {
        if (!enabled && !config->isPluginEnabled(entry.plugin)) continue;
        if (instances.item(instances.ctx, toAbi(entry.instance)) == MOS_SINK_STOP) return;
      }
    });
  };
  table.release = [](void *self, const void *acquired, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.core().services.release(c.consumer().plugin, acquired); });
  };
  return table;
}

} // namespace matrixos::plugin
