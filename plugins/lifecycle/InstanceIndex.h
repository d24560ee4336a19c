#pragma once

#include "Surroundings.h"

#include <mutex>
#include <optional>
#include <string>

namespace matrixos::lifecycle {

/// Which instances there are and which of them run, kept up to date by the orchestrator's watch alone. Small: some
/// dozens of bytes per instance, no endpoints. Thread-safe.
class InstanceIndex {
public:
  /// What a record changed.
  struct Change {
    bool accepted = false;      ///< false: older than what is known
    bool activityMoved = false; ///< somebody recorded a use of it
    bool removed = false;
  };

  struct Entry {
    std::uint64_t rev = 0;
    std::uint64_t activitySeq = 0;
    InstanceStatus status = InstanceStatus::Unknown;
  };

  Change apply(const InstanceRecord &record);
  /// Nothing for an unknown handle.
  std::optional<Entry> find(std::string_view handle) const;
  bool runs(std::string_view handle) const;
  std::size_t size() const;

private:
  mutable std::mutex mutex_;
  StringMap<Entry> entries_;
};

} // namespace matrixos::lifecycle
