/// What a call cost.
#pragma once

#include "Holds.h"
#include "MessageRequest.h"
#include "Money.h"
#include "PriceTable.h"
#include "TokenCounts.h"
#include "Usage.h"

#include <cstdint>
#include <string>

namespace matrixos::gateway {

struct Cost {
  Money money;
  TokenCounts sums;          ///< of all iterations
  std::string model;         ///< as it was billed; as it was asked for when no answer names one
  bool partial = false;      ///< estimated: the upstream did not say all of it
  bool unknownModel = false; ///< something has no price and was counted at the dearest row
};

/// At the prices of when the call began (`startedMs`, since 1970). For a call that an upstream took on; what it refused
/// with an HTTP status is free, and no matter of this. Each iteration counts at its own model's price. A refusal
/// without output is free. What the upstream did not say is estimated by the bytes that came, and is never free.
Cost cost(const Usage &usage, const MessageRequest &request, const PriceTable &prices, std::int64_t startedMs);

/// What is booked: never more than the most that the call can cost, if that has a bound. A cost above it is a figure
/// that the request does not explain, and becomes partial.
Cost settled(Cost cost, const Hold &most);

} // namespace matrixos::gateway
