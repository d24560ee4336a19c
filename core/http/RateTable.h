#pragma once

#include <matrixos/cache_line.hpp>
#include <matrixos/rate.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace matrixos::api {

/// Token buckets by key, in memory that never grows. A bucket holds as many as its rate says, and fills up evenly; it
/// is kept as the moment at which it is full again (GCRA, ITU-T I.371). One thread.
///
/// Where there is no room, the bucket makes way that is full again first. Each key has two places with room for eight,
/// so that one that is empty is not forgotten while there are full ones, whatever keys others come with.
class RateTable {
public:
  /// Since any moment that stays the same.
  using Time = std::chrono::nanoseconds;

  struct Verdict {
    bool allowed;
    std::uint32_t left; ///< how many more may come at once
    Time wait;          ///< until the next may come; 0 when allowed
    Time reset;         ///< until the bucket is full
  };

  static constexpr std::size_t kEntries = 16384;

  /// `entries`: a power of two, 16 at least.
  explicit RateTable(std::size_t entries = kEntries);

  /// Takes one from the bucket, or nothing when it is empty. `key`: evenly spread. A time before the latest one counts
  /// as that one.
  Verdict take(std::uint64_t key, Rate rate, Time now);

private:
  struct Entry {
    std::uint64_t key = 0;
    std::int64_t full = 0; ///< ns
  };
  struct alignas(kCacheLine) Place {
    std::array<Entry, 8> entries;
  };

  Entry &find(std::uint64_t key);

  std::vector<Place> places_;
  std::int64_t now_ = 0;
};

} // namespace matrixos::api
