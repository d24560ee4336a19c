/// Keeps calls from a place that fails.
#pragma once

#include <algorithm>
#include <cstdint>

namespace matrixos::gateway {

/// Opens after five failures in a row, or as soon as the place asks for a pause; half a minute later, or once the pause
/// is over, one call tries whether it works again. Times are those of one clock that never goes back, in milliseconds.
/// Not thread-safe.
class Breaker {
public:
  static constexpr int kFailures = 5;
  static constexpr std::int64_t kOpenMs = 30'000;
  static constexpr std::int64_t kMostPauseMs = 600'000; ///< a place that asks for more is tried before

  bool isOpen(std::int64_t nowMs) const noexcept { return nowMs < openUntilMs_; }
  std::int64_t openUntilMs() const noexcept { return openUntilMs_; }
  /// A call goes there. Of a place that is tried again it is the only one for a while.
  void used(std::int64_t nowMs) noexcept {
    if (openUntilMs_ != 0) openUntilMs_ = nowMs + kOpenMs;
  }
  void succeeded() noexcept { failures_ = 0, openUntilMs_ = 0; }
  /// `pauseMs`: what it asked for; 0: nothing.
  void failed(std::int64_t nowMs, std::int64_t pauseMs = 0) noexcept {
    failures_ = std::min(failures_ + 1, kFailures);
    if (pauseMs > 0)
      openUntilMs_ = nowMs + std::min(pauseMs, kMostPauseMs);
    else if (failures_ == kFailures)
      openUntilMs_ = nowMs + kOpenMs;
  }

private:
  int failures_ = 0;
  std::int64_t openUntilMs_ = 0; ///< 0: closed; in the past: it is tried again
};

} // namespace matrixos::gateway
