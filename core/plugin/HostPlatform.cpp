#include "plugin/HostContext.h"

#include <matrixos/call.hpp>

namespace matrixos::plugin {

mos_host_platform_v1 hostPlatformTable(HostContext *context) {
  mos_host_platform_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = context;
  table.info = [](void *self, mos_buf *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { giveBuffer(out, c.core().platformInfo()); });
  };
  table.set_degraded = [](void *self, mos_str reason, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.setDegraded(std::string(fromAbi(reason))); });
  };
  return table;
}

} // namespace matrixos::plugin
