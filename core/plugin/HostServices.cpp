#include "common/HostTable.h"
#include "plugin/HostContext.h"

#include <chrono>
#include <string>

/// What a plugin offers to others and uses of them: services.
namespace matrixos::plugin {

namespace {

/// Long enough for calls that end soon; what takes longer is swept after stop().
constexpr std::chrono::milliseconds kWithdrawTimeout{5000};

void provide(HostContext &context, mos_str service, mos_str instance, auto... what) {
  const std::string id(fromAbi(service)), which(fromAbi(instance));
  if (!context.manifest().providesService(id, which)) {
    throw Error(Status::FailedPrecondition, "the plugin provides " + id + (which.empty() ? "" : " \"" + which + "\"") +
                                                " without saying so in its descriptor");
  }
  context.core().services.provide(context.consumer().plugin, id, which, what...);
}

const void *acquire(HostContext &context, mos_str service, mos_str instance) {
  const std::string id(fromAbi(service));
  if (!context.manifest().needsService(id)) {
    throw Error(Status::FailedPrecondition, "the plugin uses " + id + " without saying so in its descriptor's needs");
  }
  return context.core().services.acquire(context.consumer(), id, std::string(fromAbi(instance)));
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
    return hosted(self, error, [&](HostContext &c) {
      c.core().services.withdraw(c.consumer().plugin, std::string(fromAbi(service)), std::string(fromAbi(instance)),
                                 kWithdrawTimeout);
    });
  };
  table.acquire = [](void *self, mos_str service, mos_str instance, const void **out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { *out = acquire(c, service, instance); });
  };
  table.release = [](void *self, const void *acquired, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.core().services.release(c.consumer().plugin, acquired); });
  };
  return table;
}

} // namespace matrixos::plugin
