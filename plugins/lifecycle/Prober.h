#pragma once

#include "InstanceView.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace matrixos::lifecycle {

/// Finds out when an endpoint answers HTTP. Thread-safe; neither function blocks nor calls `ready` itself.
class Prober {
public:
  /// The target that answered. Called at most once, on a thread of the prober.
  using Ready = std::function<void(const Target &answered)>;

  virtual ~Prober() = default;
  /// Tries the targets in turn until one answers or cancel(id). The caller chooses ids, each used once.
  virtual void begin(std::uint64_t id, std::vector<Target> targets, Ready ready) = 0;
  /// `ready` may still arrive when it was on its way.
  virtual void cancel(std::uint64_t id) = 0;
  /// A deadline that lies before all known ones was added.
  virtual void nudge() = 0;
};

} // namespace matrixos::lifecycle
