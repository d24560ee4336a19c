/// The usual process_* metrics. Internal to core/metrics.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace matrixos::metrics {

/// Memory, descriptors, CPU time, threads and start time of this process, from /proc (proc(5)), under the names of
/// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics. What cannot be read is left out.
std::vector<prometheus::MetricFamily> collectProcess();

} // namespace matrixos::metrics
