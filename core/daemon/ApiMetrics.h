#pragma once

#include "http/ApiServer.h"
#include "metrics/Metrics.h"
#include "plugin/PluginFaults.h"
#include "plugin/ServiceRegistry.h"

#include <functional>

namespace matrixos::daemon {

/// Counts and logs every request of the API: matrixos_api_requests_total, matrixos_api_request_seconds.
std::function<void(const api::AccessRecord &)> accessObserver(metrics::Metrics &metrics);

/// Counts what plugins do wrong: matrixos_plugin_calls_abandoned_total, matrixos_plugin_stray_answers_total,
/// matrixos_plugin_exceptions_total.
plugin::PluginFaults::Observer pluginFaultObserver(metrics::Metrics &metrics);

/// Counts every call between plugins: matrixos_service_calls_total, matrixos_service_call_seconds.
plugin::CallObserver serviceCallObserver(metrics::Metrics &metrics);

} // namespace matrixos::daemon
