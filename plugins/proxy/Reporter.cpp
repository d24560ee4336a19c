#include "Reporter.h"

#include "Proxy.h"

#include <matrixos/access_log.hpp>
#include <matrixos/text/time.hpp>

#include <limits>
#include <string>
#include <system_error>
#include <vector>

namespace matrixos::proxy {

namespace {

constexpr std::array<const char *, kStatusClasses> kStatusNames{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

} // namespace

Reporter::Reporter(const mos_host_v1 *host, std::optional<LifecycleClient> lifecycle)
    : log_(host), metrics_(host), lifecycle_(lifecycle) {
  const std::vector<double> buckets(kTookSeconds.begin(), kTookSeconds.end());
  for (std::size_t route = 0; route < kRouteClassNames.size(); ++route) {
    const char *name = kRouteClassNames[route];
    for (std::size_t status = 0; status < kStatusClasses; ++status) {
      requests_[route][status] = metrics_.counter("matrixos_proxy_requests_total", "Requests by where they went.",
                                                  {{"route", name}, {"status", kStatusNames[status]}});
    }
    durations_[route] =
        metrics_.histogram("matrixos_proxy_request_duration_seconds",
                           "From the whole request header to the last byte of the answer.", buckets, {{"route", name}});
  }
  wakes_ = metrics_.counter("matrixos_proxy_wakes_total", "Requests that waited for an instance to start.");
  received_ = metrics_.counter("matrixos_proxy_received_bytes_total", "Request payload passed on.");
  sent_ = metrics_.counter("matrixos_proxy_sent_bytes_total", "Response payload passed on.");
  connections_ = metrics_.gauge("matrixos_proxy_connections", "Open client connections.");
  waiting_ = metrics_.gauge("matrixos_proxy_waiting_requests", "Requests that wait for an instance to start.");
}

void Reporter::certificate(const std::vector<std::string> &listeners, std::int64_t expiresAt) {
  // No series can be taken back; one that is not a number is below no limit.
  for (const auto &[listener, expiry] : certificates_)
    expiry.set(std::numeric_limits<double>::quiet_NaN());
  for (const std::string &listener : listeners) {
    auto at = certificates_.find(listener);
    if (at == certificates_.end()) {
      const Series expiry = metrics_.gauge("matrixos_proxy_certificate_expiry_timestamp_seconds",
                                           "When the certificate of the address expires.", {{"listener", listener}});
      at = certificates_.emplace(listener, expiry).first;
    }
    at->second.set(static_cast<double>(expiresAt));
  }
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
    AccessEntry entry;
    const std::string endedAt = formatTime(record.atMs);
    entry.requestId = record.requestId;
    entry.endedAt = endedAt;
    entry.route = kRouteClassNames[static_cast<std::size_t>(record.outcome.route)];
    entry.handle = record.handle;
    entry.method = record.method;
    entry.path = record.path;
    entry.status = record.outcome.status;
    entry.bytesIn = record.outcome.bytesIn;
    entry.bytesOut = record.outcome.bytesOut;
    entry.durationUs = record.outcome.tookMicros;
    entry.peer = record.peer;
    entry.principal = record.principal;
    entry.upgraded = record.upgraded;
    entry.woken = record.woken;
    entry.reason = record.reason;
    std::vector<Field> fields;
    eachAccessField(entry, [&](std::string_view name, auto value) { fields.emplace_back(name, value); });
    log_.write(MOS_LOG_INFO, kAccessMessage, fields.data(), fields.size());
  }
  if (batch.accessDropped != 0) {
    log_.warning("access log lines were dropped under load", {{"count", batch.accessDropped}});
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
  log_.warning("connections could not be taken",
               {{"count", failures_.count}, {"error", std::generic_category().message(failures_.error)}});
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
