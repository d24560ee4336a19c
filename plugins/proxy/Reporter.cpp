#include "Reporter.h"

#include "Proxy.h"

#include <matrixos/text/time.hpp>

#include <string>
#include <system_error>

namespace matrixos::proxy {

namespace {

constexpr std::array<const char *, kStatusClasses> kStatusNames{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

} // namespace

Reporter::Reporter(const mos_host_v1 *host, std::optional<LifecycleClient> lifecycle)
    : log_(host), lifecycle_(lifecycle) {
  const Metrics metrics(host);
  const std::vector<double> buckets(kTookSeconds.begin(), kTookSeconds.end());
  for (std::size_t route = 0; route < kRouteClassNames.size(); ++route) {
    const char *name = kRouteClassNames[route];
    for (std::size_t status = 0; status < kStatusClasses; ++status) {
      requests_[route][status] = metrics.counter("matrixos_proxy_requests_total", "Requests by where they went.",
                                                 {{"route", name}, {"status", kStatusNames[status]}});
    }
    durations_[route] =
        metrics.histogram("matrixos_proxy_request_duration_seconds",
                          "From the whole request header to the last byte of the answer.", buckets, {{"route", name}});
  }
  wakes_ = metrics.counter("matrixos_proxy_wakes_total", "Requests that waited for an instance to start.");
  received_ = metrics.counter("matrixos_proxy_received_bytes_total", "Request payload passed on.");
  sent_ = metrics.counter("matrixos_proxy_sent_bytes_total", "Response payload passed on.");
  connections_ = metrics.gauge("matrixos_proxy_connections", "Open client connections.");
  waiting_ = metrics.gauge("matrixos_proxy_waiting_requests", "Requests that wait for an instance to start.");
}

void Reporter::report(Proxy &proxy) noexcept {
  try {
    const Batch batch = proxy.collect();
    writeMetrics(batch, proxy);
    writeLog(batch);
    logAcceptFailures(proxy);
    reportActivity(batch); // last: it fails while lifecycle is away
  } catch (const std::exception &e) {
    log_.error("the proxy's report failed", {{"error", e.what()}});
  }
}

void Reporter::writeLog(const Batch &batch) const {
  for (const AccessLogLine &record : batch.access) {
    log_.info("request", {{"endedAt", formatTime(record.atMs)},
                          {"route", kRouteClassNames[static_cast<std::size_t>(record.outcome.route)]},
                          {"handle", record.handle},
                          {"method", record.method},
                          {"path", record.path},
                          {"status", std::to_string(record.outcome.status)},
                          {"bytesIn", std::to_string(record.outcome.bytesIn)},
                          {"bytesOut", std::to_string(record.outcome.bytesOut)},
                          {"tookUs", std::to_string(record.outcome.tookMicros)},
                          {"peer", record.peer},
                          {"request", record.requestId},
                          {"upgraded", record.upgraded ? "true" : "false"},
                          {"woken", record.woken ? "true" : "false"},
                          {"reason", record.reason}});
  }
  if (batch.accessDropped != 0) {
    log_.warning("access log lines were dropped under load", {{"count", std::to_string(batch.accessDropped)}});
  }
}

/// Once a minute: they come by the thousand, when they come.
void Reporter::logAcceptFailures(Proxy &proxy) {
  const auto more = proxy.takeAcceptFailures();
  failures_.count += more.count;
  if (more.count != 0) failures_.error = more.error;
  const auto now = std::chrono::steady_clock::now();
  const bool early = failuresLogged_.time_since_epoch().count() != 0 && now - failuresLogged_ < std::chrono::minutes(1);
  if (failures_.count == 0 || early) return;
  log_.warning("connections could not be taken", {{"count", std::to_string(failures_.count)},
                                                  {"error", std::generic_category().message(failures_.error)}});
  failures_ = {};
  failuresLogged_ = now;
}

void Reporter::writeMetrics(const Batch &batch, const Proxy &proxy) const {
  for (std::size_t route = 0; route < kRouteClassNames.size(); ++route) {
    for (std::size_t status = 0; status < kStatusClasses; ++status) {
      const RequestCounts &counts = batch.counts[route][status];
      if (counts.requests == 0) continue;
      requests_[route][status].add(static_cast<double>(counts.requests));
      for (const auto &[count, seconds] : counts.took) {
        // The mean of a bucket lies in the bucket, so counts and sums stay exact.
        for (std::uint64_t i = 0; i < count; ++i)
          durations_[route].observe(seconds / static_cast<double>(count));
      }
    }
  }
  wakes_.add(static_cast<double>(batch.wakes));
  received_.add(static_cast<double>(batch.bytesIn));
  sent_.add(static_cast<double>(batch.bytesOut));
  connections_.set(static_cast<double>(proxy.connections()));
  waiting_.set(static_cast<double>(proxy.waiting()));
}

void Reporter::reportActivity(const Batch &batch) const {
  if (!lifecycle_) return;
  if (!batch.open.empty()) {
    std::vector<mos_str> handles;
    handles.reserve(batch.open.size());
    for (const auto &cell : batch.open)
      handles.push_back(toAbi(cell->handle));
    lifecycle_->reportOpen(handles.data(), static_cast<std::uint32_t>(handles.size()));
  }
  if (batch.activity.empty()) return;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t atMs = static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
  std::vector<mos_activity> items;
  items.reserve(batch.activity.size());
  for (const auto &[handle, count] : batch.activity)
    items.push_back({toAbi(handle), atMs, count});
  lifecycle_->reportActivity(items.data(), static_cast<std::uint32_t>(items.size()));
}

} // namespace matrixos::proxy
