#include "plugin/HostContext.h"

namespace matrixos::plugin {

namespace {

metrics::Handle series(HostContext &context, std::uint32_t type, mos_str name, mos_str help, const mos_pair *labels,
                       std::uint32_t labelCount, const double *buckets, std::uint32_t bucketCount) {
  if (type < MOS_METRIC_COUNTER || type > MOS_METRIC_HISTOGRAM) {
    throw Error(Status::InvalidArgument, "unknown metric type " + std::to_string(type));
  }
  metrics::Labels list;
  for (std::uint32_t i = 0; i < labelCount; ++i)
    list.emplace_back(fromAbi(labels[i].key), fromAbi(labels[i].value));
  return context.core().metrics.series(context.owner(), static_cast<metrics::Type>(type), fromAbi(name), fromAbi(help),
                                       list, {buckets, bucketCount});
}

} // namespace

mos_host_metrics_v1 hostMetricsTable(HostContext *context) {
  mos_host_metrics_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_HOST_MINOR;
  table.self = context;
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
