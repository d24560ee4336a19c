#include "common/HostTable.h"
#include "log/Log.h"
#include "plugin/HostContext.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

/// What a plugin tells of itself: log, metrics.
namespace matrixos::plugin {

namespace {

log::Level levelOf(std::uint32_t level) {
  return static_cast<log::Level>(std::clamp<std::uint32_t>(level, MOS_LOG_ERROR, MOS_LOG_DEBUG));
}

metrics::Handle series(HostContext &context, std::uint32_t type, mos_str name, mos_str help, const mos_pair *labels,
                       std::uint32_t labelCount, const double *buckets, std::uint32_t bucketCount) {
  if (type < MOS_METRIC_COUNTER || type > MOS_METRIC_HISTOGRAM) {
    throw Error(Status::InvalidArgument, "unknown metric type " + std::to_string(type));
  }
  metrics::Labels list;
  for (std::uint32_t i = 0; i < labelCount; ++i)
    list.emplace_back(fromAbi(labels[i].key), fromAbi(labels[i].value));
  context.core().names.check(context.manifest().id, MOS_CLAIM_METRIC, std::string(fromAbi(name)));
  return context.core().metrics.series(context.owner(), static_cast<metrics::Type>(type), fromAbi(name), fromAbi(help),
                                       list, {buckets, bucketCount});
}

log::Field fieldOf(const mos_field &field) {
  const std::string_view key = fromAbi(field.key);
  switch (field.type) {
  case MOS_FIELD_INT:
    return {key, field.integer};
  case MOS_FIELD_REAL:
    return {key, field.real};
  case MOS_FIELD_BOOL:
    return {key, field.integer != 0};
  default:
    return {key, fromAbi(field.text)};
  }
}

/// Works also for a plugin that was given up: what it says helps to find out why.
void writeLog(void *self, std::uint32_t level, mos_str message, std::span<const log::Field> fields) {
  log::Log(static_cast<HostContext *>(self)->manifest().id).write(levelOf(level), fromAbi(message), fields);
}

} // namespace

mos_host_log_v1 hostLogTable(HostContext *context) {
  auto table = common::hostTable<mos_host_log_v1>(context);
  table.write = [](void *self, std::uint32_t level, mos_str message, const mos_pair *fields, std::uint32_t count) {
    guarded(nullptr, [&] {
      std::vector<log::Field> list;
      list.reserve(count);
      for (std::uint32_t i = 0; i < count; ++i)
        list.emplace_back(fromAbi(fields[i].key), fromAbi(fields[i].value));
      writeLog(self, level, message, list);
    });
  };
  table.write_fields = [](void *self, std::uint32_t level, mos_str message, const mos_field *fields,
                          std::uint32_t count) {
    guarded(nullptr, [&] {
      std::vector<log::Field> list;
      list.reserve(count);
      for (std::uint32_t i = 0; i < count; ++i)
        list.push_back(fieldOf(fields[i]));
      writeLog(self, level, message, list);
    });
  };
  table.enabled = [](void *self, std::uint32_t level) -> std::int32_t {
    return log::Log(static_cast<HostContext *>(self)->manifest().id).enabled(levelOf(level)) ? 1 : 0;
  };
  return table;
}

mos_host_metrics_v1 hostMetricsTable(HostContext *context) {
  auto table = common::hostTable<mos_host_metrics_v1>(context);
  table.series = [](void *self, std::uint32_t type, mos_str name, mos_str help, const mos_pair *labels,
                    std::uint32_t labelCount, const double *buckets, std::uint32_t bucketCount, std::uint64_t *out,
                    mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      *out = series(c, type, name, help, labels, labelCount, buckets, bucketCount);
    });
  };
  // A handle of a swept plugin is stale; the check is for a thread that outlives the daemon's metrics.
  table.add = [](void *self, std::uint64_t handle, double value) {
    const auto &host = *static_cast<HostContext *>(self);
    if (host.open()) host.core().metrics.add(handle, value);
  };
  table.set = [](void *self, std::uint64_t handle, double value) {
    const auto &host = *static_cast<HostContext *>(self);
    if (host.open()) host.core().metrics.set(handle, value);
  };
  return table;
}

} // namespace matrixos::plugin
