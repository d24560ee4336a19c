#pragma once

#include "EngineDocuments.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace matrixos::docker {

/// Sums the steps of a pull's layers up to items of the contract: {"phase", "current", "total"}, a few per second.
class PullProgress {
public:
  using ItemFn = std::function<bool(std::string_view)>;

  explicit PullProgress(ItemFn item) : item_(std::move(item)) {}
  /// False once the receiver stopped.
  bool step(const PullStep &step);
  /// Hands out where things stand, unless that was the last item.
  bool finish();

private:
  struct Layer {
    std::uint64_t current = 0;
    std::uint64_t total = 0;
  };
  bool emit();

  ItemFn item_;
  std::map<std::string, Layer> layers_;
  std::string phase_;
  std::string sentPhase_;
  std::chrono::steady_clock::time_point sentAt_{};
};

} // namespace matrixos::docker
