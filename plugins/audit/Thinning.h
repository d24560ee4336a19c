#pragma once

#include "Record.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace matrixos::audit {

/// Keeps what strangers and machines do by the thousand from filling the disk: of people that nobody knows so many
/// records a minute, and of the same read by the same operator one in a while. What is left out is counted. One thread.
class Thinning {
public:
  using Time = std::chrono::steady_clock::time_point;
  struct Settings {
    std::int64_t strangersPerMinute = 60;
    std::chrono::milliseconds readsEvery{60000};
  };

  void configure(const Settings &settings) { settings_ = settings; }
  bool isKept(const Record &record, Time now);
  /// How many were left out since the last call; 0 before a minute is over.
  std::uint64_t takeLeftOut(Time now);

private:
  /// More readers at once than that are recorded twice.
  static constexpr std::size_t kMostReads = 10000;

  Settings settings_;
  Time minute_{};
  std::int64_t strangers_ = 0;
  std::uint64_t leftOut_ = 0;
  Time told_{};
  std::map<std::string, Time> reads_; ///< by who, what and which
};

} // namespace matrixos::audit
