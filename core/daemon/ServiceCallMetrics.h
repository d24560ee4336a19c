#pragma once

#include "metrics/Metrics.h"
#include "plugin/ServicePoint.h"

namespace matrixos::daemon {

/// Counts every call between plugins, matrixos_service_calls_total, and how long those take that may block,
/// matrixos_service_call_seconds. `metrics` outlives the calls.
plugin::CallObserver serviceCallObserver(metrics::Metrics &metrics);

} // namespace matrixos::daemon
