#include "Telemetry.h"

#include <algorithm>
#include <iterator>

namespace matrixos::proxy {

void LoopTelemetry::finished(const RequestOutcome &outcome) {
  const double seconds = static_cast<double>(outcome.tookMicros) / 1e6;
  const auto bucket = static_cast<std::size_t>(std::lower_bound(kTookSeconds.begin(), kTookSeconds.end(), seconds) -
                                               kTookSeconds.begin());
  const auto status = static_cast<std::size_t>(std::clamp(outcome.status / 100, 0, 5));
  const std::lock_guard lock(mutex_);
  RequestCounts &counts = batch_.counts[static_cast<std::size_t>(outcome.route)][status];
  ++counts.requests;
  ++counts.took[bucket].count;
  counts.took[bucket].seconds += seconds;
  batch_.bytesIn += outcome.bytesIn;
  batch_.bytesOut += outcome.bytesOut;
}

void LoopTelemetry::log(AccessLogLine record) {
  const std::lock_guard lock(mutex_);
  if (batch_.access.size() < kMostRecords)
    batch_.access.push_back(std::move(record));
  else
    ++batch_.accessDropped;
}

void LoopTelemetry::woke() {
  const std::lock_guard lock(mutex_);
  ++batch_.wakes;
}

void LoopTelemetry::used(const std::shared_ptr<ActivityCell> &cell, std::uint64_t count) {
  // Only the first use since the last collection takes the lock.
  if (cell->count.fetch_add(count, std::memory_order_relaxed) != 0) return;
  const std::lock_guard lock(mutex_);
  active_.push_back(cell);
}

void LoopTelemetry::collect(Batch &out) {
  Batch mine;
  std::vector<std::shared_ptr<ActivityCell>> active;
  {
    const std::lock_guard lock(mutex_);
    std::swap(mine, batch_);
    active.swap(active_);
  }
  for (std::size_t route = 0; route < mine.counts.size(); ++route) {
    for (std::size_t status = 0; status < kStatusClasses; ++status) {
      const RequestCounts &from = mine.counts[route][status];
      RequestCounts &to = out.counts[route][status];
      to.requests += from.requests;
      for (std::size_t i = 0; i < from.took.size(); ++i) {
        to.took[i].count += from.took[i].count;
        to.took[i].seconds += from.took[i].seconds;
      }
    }
  }
  out.wakes += mine.wakes;
  out.bytesIn += mine.bytesIn;
  out.bytesOut += mine.bytesOut;
  out.accessDropped += mine.accessDropped;
  std::move(mine.access.begin(), mine.access.end(), std::back_inserter(out.access));
  for (const auto &cell : active) {
    const std::uint64_t count = cell->count.exchange(0, std::memory_order_relaxed);
    if (count != 0) out.activity.emplace_back(cell->handle, count);
    if (cell->isOpen()) out.open.push_back(cell);
  }
}

} // namespace matrixos::proxy
