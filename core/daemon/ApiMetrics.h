#pragma once

#include "http/ApiServer.h"
#include "metrics/Metrics.h"
#include "plugin/ServiceRegistry.h"

#include <functional>
#include <string>

namespace matrixos::daemon {

/// Counts and logs every request of the API: matrixos_api_requests_total, matrixos_api_request_seconds.
std::function<void(const api::AccessRecord &)> accessObserver(metrics::Metrics &metrics);

/// One series of matrixos_api_requests_total.
metrics::Handle requestsOf(metrics::Metrics &metrics, const std::string &method, const std::string &route,
                           const std::string &status);

/// Counts every call between plugins: matrixos_service_calls_total, matrixos_service_call_seconds.
plugin::CallObserver serviceCallObserver(metrics::Metrics &metrics);

} // namespace matrixos::daemon
