/// What is held for a call before it goes out.
#pragma once

#include "MessageRequest.h"
#include "Money.h"
#include "PriceTable.h"

#include <cstdint>
#include <optional>

namespace matrixos::gateway {

struct Hold {
  Money money;
  /// The call cannot cost more; false for what the operator's lists allow without a bound.
  bool bounded = true;
  bool unknownModel = false; ///< held at the dearest row
};

/// The most that the call can cost at a time (milliseconds since 1970): the prompt at the price of writing it to the
/// cache, `max_tokens` of output, and each use of a search or fetch with what it brings back and the prompt read again.
/// README.md has the figures. What has no bound is held as if it were used once.
Hold worstCase(const MessageRequest &request, const PriceTable &prices, std::int64_t nowMs);

/// The prompt as above, and 1.2 × `output` tokens, but 1,000 at least and `most`, the worst case, at most. `output`: of
/// OutputHistory; nothing: the worst case. The call may cost up to the worst case all the same.
Money estimate(const MessageRequest &request, const PriceTable &prices, std::int64_t nowMs,
               std::optional<std::uint32_t> output, Money most);

} // namespace matrixos::gateway
