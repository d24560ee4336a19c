#pragma once

#include "http/ApiServer.h"
#include "metrics/Metrics.h"

#include <array>
#include <functional>
#include <string>

namespace matrixos::daemon {

/// Bounds of the histograms of durations.
inline constexpr std::array kSecondsBuckets{0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0};

/// Counts and logs every request of the API: matrixos_api_requests_total, matrixos_api_request_seconds,
/// matrixos_api_limited_total.
std::function<void(const api::AccessRecord &)> accessObserver(metrics::Metrics &metrics);

/// One series of matrixos_api_requests_total.
metrics::Handle requestsOf(metrics::Metrics &metrics, const std::string &method, const std::string &route,
                           const std::string &status);

} // namespace matrixos::daemon
