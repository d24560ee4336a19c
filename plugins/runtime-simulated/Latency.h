#pragma once

#include <chrono>
#include <string_view>

namespace matrixos::simulated {

/// How long a call takes: always the same, or anything between two bounds, evenly.
struct Latency {
  std::chrono::milliseconds low{0};
  std::chrono::milliseconds high{0};

  /// "8ms", "1.5s", "0", or a range "5ms..20ms". Throws Error(InvalidArgument) that says how to write it.
  static Latency parse(std::string_view text);

  /// `fraction` is from 0 to 1.
  std::chrono::milliseconds at(double fraction) const noexcept {
    return low + std::chrono::milliseconds(
                     static_cast<std::int64_t>(fraction * static_cast<double>((high - low).count() + 1)));
  }
};

/// "8ms", "2s", "1m", "0"; throws Error(InvalidArgument).
std::chrono::milliseconds parseDuration(std::string_view text);

} // namespace matrixos::simulated
