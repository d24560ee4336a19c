/// Telemetry.h: what the data plane counts and notes, kept per loop and collected in batches.
#pragma once

#include "RouteTable.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::proxy {

/// Bounded labels: where a request went.
enum class RouteClass : std::uint8_t { Shell, Gateway, Api, None };
inline constexpr std::array<const char *, 4> kRouteClassNames{"shell", "gateway", "api", "none"};

/// What is counted of a request.
struct RequestOutcome {
  RouteClass route = RouteClass::None;
  int status = 0;
  std::uint64_t bytesIn = 0;
  std::uint64_t bytesOut = 0;
  std::int64_t tookMicros = 0;
};

/// One line of the access log.
struct AccessLogLine {
  std::int64_t atMs = 0; ///< wall clock, ms since the epoch, when it ended
  std::string handle;
  std::string method;
  std::string path; ///< without the query, which may hold secrets
  std::string peer;
  std::string requestId;
  std::string principal; ///< by the word of a policy
  RequestOutcome outcome;
  bool upgraded = false;
  bool woken = false;
  std::string reason;
};

/// Requests of one class with one kind of status since the last collection.
struct RequestCounts {
  static constexpr std::size_t kBuckets = 11;
  std::uint64_t requests = 0;
  struct Bucket {
    std::uint64_t count = 0;
    double seconds = 0; ///< sum
  };
  std::array<Bucket, kBuckets + 1> took{}; ///< by kTookSeconds, the last one for what is above all
};
inline constexpr std::array<double, RequestCounts::kBuckets> kTookSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                                          0.1,   0.25,   0.5,   1,    5};
inline constexpr std::size_t kStatusClasses = 6; ///< 0 (no answer), 1xx … 5xx

/// What was collected.
struct Batch {
  std::array<std::array<RequestCounts, kStatusClasses>, kRouteClassNames.size()> counts{};
  std::uint64_t wakes = 0;
  std::uint64_t bytesIn = 0;
  std::uint64_t bytesOut = 0;
  std::vector<AccessLogLine> access;
  std::uint64_t accessDropped = 0;
  std::vector<std::pair<std::string, std::uint64_t>> activity; ///< handle, uses
  std::vector<std::shared_ptr<ActivityCell>> open;             ///< instances that have exchanges under way
};

/// The part of one loop. A loop writes, the collector takes; the lock is held for a few instructions.
class LoopTelemetry {
public:
  explicit LoopTelemetry(bool accessLog) : accessLog_(accessLog) {}

  void finished(const RequestOutcome &outcome);
  /// A line is wanted for each request. The loop's thread.
  bool logs() const noexcept { return accessLog_; }
  void setLogs(bool wanted) noexcept { accessLog_ = wanted; }
  void log(AccessLogLine record);
  void woke();
  void used(const std::shared_ptr<ActivityCell> &cell, std::uint64_t count);
  /// Payload passed by: one use, however much it was since the last collection.
  void moved(const std::shared_ptr<ActivityCell> &cell) {
    if (cell->count.load(std::memory_order_relaxed) == 0) used(cell, 1);
  }
  /// Adds what has come together to `out` and forgets it. Of what is open it knows those that were used.
  void collect(Batch &out);

private:
  static constexpr std::size_t kMostRecords = 8192;

  bool accessLog_;
  std::mutex mutex_;
  Batch batch_;
  std::vector<std::shared_ptr<ActivityCell>> active_;
};

} // namespace matrixos::proxy
