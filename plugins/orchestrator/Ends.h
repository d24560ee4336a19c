/// Programs that end of themselves: how, how often in a row, and what is said of it.
#pragma once

#include "Engine.h"
#include "Instance.h"

#include <cstdint>
#include <optional>
#include <string>

namespace matrixos::orchestrator {

/// After this many ends in a row, each soon after its start, an instance has failed.
constexpr std::int64_t kMostEnds = 4;

/// "the container ended with exit code 3, 4 times".
std::string endText(const InstanceEnd &end);

/// Ends that a record does not know of yet.
struct EndsSeen {
  std::int64_t count = 0;
  InstanceEnd last; ///< what the record has to say then
};

/// What the engine says of a container, and events hint at, beyond what the record of a running instance knows.
/// Starts that somebody else asked for are no ends, where the engine counts those that it made itself.
std::optional<EndsSeen> endsSince(const Instance &record, const Description &container, const EndHint &hint);

/// The end of a container that would not stay up when it was started.
InstanceEnd endAtStart(const InstanceEnd &before, const Description &container);

} // namespace matrixos::orchestrator
