/// How often and how long something is tried again.
#pragma once

#include <matrixos/status.hpp>

#include <chrono>
#include <functional>

namespace matrixos::common {

/// Whether a failure is one of those that pass by themselves: a port that another process holds for a moment more, an
/// engine that is still coming up.
bool mayPass(Status cause) noexcept;

/// Tries that follow each other ever more slowly, until a limit.
class Patience {
public:
  explicit Patience(std::chrono::milliseconds limit);

  /// Waits before the next try, at first a quarter of a second, later four seconds. False, without waiting, once the
  /// limit has passed; false as soon as `stop` says so.
  bool wait(const std::function<bool()> &stop);

private:
  const std::chrono::steady_clock::time_point end_;
  std::chrono::milliseconds pause_;
};

} // namespace matrixos::common
