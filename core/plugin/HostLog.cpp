#include "log/Log.h"
#include "plugin/HostContext.h"

#include <algorithm>
#include <vector>

namespace matrixos::plugin {

namespace {

log::Level levelOf(std::uint32_t level) {
  return static_cast<log::Level>(std::clamp<std::uint32_t>(level, MOS_LOG_ERROR, MOS_LOG_DEBUG));
}

} // namespace

mos_host_log_v1 hostLogTable(HostContext *context) {
  mos_host_log_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = context;
  // Works also for a plugin that was given up: what it says helps to find out why.
  table.write = [](void *self, std::uint32_t level, mos_str message, const mos_pair *fields, std::uint32_t count) {
    guarded(nullptr, [&] {
      std::vector<log::Field> list;
      list.reserve(count);
      for (std::uint32_t i = 0; i < count; ++i)
        list.emplace_back(fromAbi(fields[i].key), fromAbi(fields[i].value));
      log::Log(static_cast<HostContext *>(self)->manifest().id).write(levelOf(level), fromAbi(message), list);
    });
  };
  table.enabled = [](void *self, std::uint32_t level) -> std::int32_t {
    return log::Log(static_cast<HostContext *>(self)->manifest().id).enabled(levelOf(level)) ? 1 : 0;
  };
  return table;
}

} // namespace matrixos::plugin
