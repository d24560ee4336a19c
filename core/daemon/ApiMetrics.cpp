#include "daemon/ApiMetrics.h"

#include "log/Log.h"

#include <matrixos/access_log.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::daemon {

namespace {

/// Handles of series that were asked for before, by a key of few values, so that a call costs one map look-up.
class SeriesCache {
public:
  metrics::Handle get(std::string key, auto &&make) {
    {
      const std::shared_lock lock(mutex_);
      const auto at = handles_.find(key);
      if (at != handles_.end()) return at->second;
    }
    const metrics::Handle handle = make();
    const std::unique_lock lock(mutex_);
    return handles_.emplace(std::move(key), handle).first->second;
  }

private:
  std::shared_mutex mutex_;
  std::map<std::string, metrics::Handle> handles_;
};

/// Counts what the API's limits refuse; the log says of whom one was, now and then.
class LimitObserver {
public:
  explicit LimitObserver(metrics::Metrics &metrics) : metrics_(metrics) {
    for (const std::string_view limit : api::kLimitNames) {
      counters_[limit] = metrics.series(common::kCoreOwner, metrics::Type::Counter, "matrixos_api_limited_total",
                                        "Requests of the API that a limit refused.", {{"limit", std::string(limit)}});
    }
  }

  /// On the API's loop.
  void note(const api::AccessRecord &record) {
    metrics_.add(counters_.at(record.limit), 1);
    ++sinceLog_;
    const auto now = std::chrono::steady_clock::now();
    if (lastLog_ && now - *lastLog_ < kLogPause) return;
    lastLog_ = now;
    static const log::Log log("core.api");
    log.warning("requests beyond a limit were refused",
                {{"limit", record.limit}, {"of", record.limited}, {"requests", std::exchange(sinceLog_, 0)}});
  }

private:
  static constexpr std::chrono::seconds kLogPause{10};

  metrics::Metrics &metrics_;
  std::map<std::string_view, metrics::Handle> counters_;
  std::uint64_t sinceLog_ = 0; ///< of all limits
  std::optional<std::chrono::steady_clock::time_point> lastLog_;
};

void logAccess(const api::AccessRecord &record) {
  static const log::Log log("core.api");
  const bool dull = (record.method == "GET" || record.method == "HEAD") && record.status < 500;
  const log::Level level = dull ? log::Level::Debug : log::Level::Info;
  if (!log.enabled(level)) return;
  AccessEntry entry;
  entry.requestId = record.requestId;
  entry.route = record.route;
  entry.method = record.method;
  entry.path = record.path;
  entry.status = record.status;
  entry.bytesIn = record.bytesIn;
  entry.bytesOut = record.bytesOut;
  entry.durationUs = record.duration.count();
  entry.principal = record.principal;
  std::vector<log::Field> fields;
  eachAccessField(entry, [&](std::string_view name, auto value) { fields.emplace_back(name, value); });
  log.write(level, kAccessMessage, fields);
}

} // namespace

metrics::Handle requestsOf(metrics::Metrics &metrics, const std::string &method, const std::string &route,
                           const std::string &status) {
  return metrics.series(common::kCoreOwner, metrics::Type::Counter, "matrixos_api_requests_total",
                        "Requests of the API.", {{"method", method}, {"route", route}, {"status", status}});
}

std::function<void(const api::AccessRecord &)> accessObserver(metrics::Metrics &metrics) {
  auto cache = std::make_shared<SeriesCache>();
  auto limits = std::make_shared<LimitObserver>(metrics);
  return [&metrics, cache, limits](const api::AccessRecord &record) {
    logAccess(record);
    if (!record.limit.empty()) limits->note(record);
    // A method that no route has may be anything a client made up.
    const std::string route = record.route.empty() ? "none" : record.route;
    const std::string method = record.route.empty() ? "any" : record.method;
    const std::string status = std::to_string(record.status);
    metrics.add(cache->get("c " + method + " " + route + " " + status,
                           [&] { return requestsOf(metrics, method, route, status); }),
                1);
    metrics.add(cache->get("h " + route,
                           [&] {
                             return metrics.series(common::kCoreOwner, metrics::Type::Histogram,
                                                   "matrixos_api_request_seconds", "Duration of API requests.",
                                                   {{"route", route}}, kSecondsBuckets);
                           }),
                std::chrono::duration<double>(record.duration).count());
  };
}

} // namespace matrixos::daemon
