#include "http/RateTable.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace matrixos::api {

RateTable::RateTable(std::size_t entries) : places_(entries / std::tuple_size_v<decltype(Place::entries)>) {
  if (places_.size() < 2 || !std::has_single_bit(entries))
    throw Error(Status::InvalidArgument, "a rate table has a power of two of entries, 16 at least");
}

/// The key's own, or the one that it may have.
RateTable::Entry &RateTable::find(std::uint64_t key) {
  Entry *best = nullptr;
  unsigned bestOwing = 0;
  for (const std::uint64_t bits : {key, key >> 32}) {
    Entry *soonest = nullptr;
    unsigned owing = 0; // buckets that are not full
    for (Entry &entry : places_[bits & (places_.size() - 1)].entries) {
      if (entry.key == key) return entry;
      if (entry.full > now_) ++owing;
      if (soonest == nullptr || entry.full < soonest->full) soonest = &entry;
    }
    // The emptier place of two, or some would overflow long before all are full.
    if (best != nullptr && std::pair(bestOwing, best->full) <= std::pair(owing, soonest->full)) continue;
    best = soonest;
    bestOwing = owing;
  }
  return *best;
}

RateTable::Verdict RateTable::take(std::uint64_t key, Rate rate, Time now) {
  now_ = std::max(now_, static_cast<std::int64_t>(now.count()));
  const std::int64_t step = static_cast<std::int64_t>(rate.periodMs) * 1'000'000 / rate.count;
  const std::int64_t most = step * rate.count;
  Entry &entry = find(key);
  // Under another rate than last time, it is at most empty.
  const std::int64_t full = entry.key == key ? std::clamp(entry.full, now_, now_ + most) : now_;
  const std::int64_t next = full + step;
  if (next > now_ + most) {
    entry.full = full;
    return {false, 0, Time(next - now_ - most), Time(full - now_)};
  }
  entry = {key, next};
  return {true, static_cast<std::uint32_t>((now_ + most - next) / step), Time(0), Time(next - now_)};
}

} // namespace matrixos::api
