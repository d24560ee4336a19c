#pragma once

#include "ActivityLedger.h"

#include <matrixos/call.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::lifecycle {

/// What the lifecycle asks of the orchestrator. Nothing here blocks. `then` is called exactly once, on any thread,
/// perhaps before the command returns.
class Platform {
public:
  using Then = std::function<void(const Outcome &)>;

  virtual ~Platform() = default;
  /// The record as it is now. Throws matrixos::Error(NotFound).
  virtual std::string fetch(std::string_view handle) = 0;
  virtual void start(std::string_view handle, Then then) = 0;
  /// Stops it while its activity sequence still equals `ifActivitySeq`; else Aborted.
  virtual void stop(std::string_view handle, std::uint64_t ifActivitySeq, Then then) = 0;
  /// Passes uses on. Throws matrixos::Error.
  virtual void record(const std::vector<PendingUse> &uses) = 0;
};

} // namespace matrixos::lifecycle
