/// Reporter.h: hands what the data plane collected to the host's log and metrics, and to lifecycle.
#pragma once

#include "Telemetry.h"

#include <matrixos/host.hpp>
#include <matrixos/lifecycle.hpp>

#include <http/engine/Server.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::proxy {

class Proxy;

/// Runs on the host's timer, one call at a time.
class Reporter {
public:
  Reporter(const mos_host_v1 *host, std::optional<LifecycleClient> lifecycle);

  /// Collects from the proxy and passes everything on. Never throws.
  void report(Proxy &proxy) noexcept;
  /// The addresses that speak TLS, and when their certificate expires, in seconds since the epoch.
  void certificate(const std::vector<std::string> &listeners, std::int64_t expiresAt);

private:
  void writeLog(const Batch &batch) const;
  void logAcceptFailures(Proxy &proxy);
  void writeMetrics(const Batch &batch, const Proxy &proxy) const;
  void reportActivity(const Batch &batch) const;

  Log log_;
  Metrics metrics_;
  std::map<std::string, Series> certificates_; // by listener
  std::optional<LifecycleClient> lifecycle_;
  std::array<std::array<Series, kStatusClasses>, kRouteClassNames.size()> requests_;
  std::array<Series, kRouteClassNames.size()> durations_;
  http::Server::AcceptFailures failures_; // that the log does not know yet
  std::chrono::steady_clock::time_point failuresLogged_{};
  Series wakes_, received_, sent_, connections_, waiting_;
};

} // namespace matrixos::proxy
