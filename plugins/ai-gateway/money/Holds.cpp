#include "Holds.h"

#include "TokenCounts.h"

#include <algorithm>
#include <initializer_list>

namespace matrixos::gateway {

namespace {

/// What a search brings back, in tokens of the next prompt.
constexpr std::uint64_t kSearchTokens = 10'000;
constexpr std::uint64_t kLeastOutput = 1'000;

/// The tokens of all prompts, and the searches, when the upstream calls its tools as often as it may. The prompt is
/// read again after each use, with all that the uses before it brought and all that was written.
struct Rounds {
  std::uint64_t promptTokens = 0;
  std::uint64_t searches = 0;
};

Rounds rounds(const MessageRequest &request) noexcept {
  Rounds most{clampCount(request.promptTokens), 0};
  std::uint64_t uses = 0;
  std::uint64_t result = 0;
  for (const ServerTool &tool : request.serverTools) {
    const std::uint64_t count = tool.maxUses.value_or(1);
    uses += count;
    if (tool.isSearch()) most.searches += count;
    result =
        std::max<std::uint64_t>(result, tool.isFetch() ? tool.maxContentTokens.value_or(kSearchTokens) : kSearchTokens);
  }
  const auto times = [](std::uint64_t a, std::uint64_t b) { return std::uint64_t{clampCount(a)} * clampCount(b); };
  most.promptTokens = clampCount(most.promptTokens + times(uses, request.promptTokens + request.maxTokens));
  most.promptTokens = clampCount(most.promptTokens + times(clampCount(times(uses, uses + 1)) / 2, result));
  return most;
}

/// The dearest that these tokens of prompt can become.
PriceTable::Price priced(const MessageRequest &request, const PriceTable &prices, std::int64_t nowMs,
                         std::uint64_t prompt, std::uint64_t output, std::uint64_t searches) noexcept {
  const bool hour = request.caching == MessageRequest::Caching::Hour;
  PriceTable::Price most;
  for (std::uint32_t TokenCounts::*kind : {&TokenCounts::input, &TokenCounts::cacheRead, &TokenCounts::cacheWrite5m,
                                           hour ? &TokenCounts::cacheWrite1h : &TokenCounts::cacheWrite5m}) {
    TokenCounts counts;
    counts.*kind = clampCount(prompt);
    counts.output = clampCount(output);
    counts.webSearches = clampCount(searches);
    const auto price = prices.price(request.model, nowMs, counts, {request.fast, false, request.geo});
    if (price.money >= most.money) most = price;
  }
  return most;
}

} // namespace

Hold worstCase(const MessageRequest &request, const PriceTable &prices, std::int64_t nowMs) {
  const Rounds most = rounds(request);
  const auto price = priced(request, prices, nowMs, most.promptTokens, request.maxTokens, most.searches);
  return {price.money, !request.unbounded, !price.known};
}

Money estimate(const MessageRequest &request, const PriceTable &prices, std::int64_t nowMs,
               std::optional<std::uint32_t> output, Money most) {
  if (!output) return most;
  const std::uint64_t tokens = std::max(kLeastOutput, (std::uint64_t{*output} * 6 + 4) / 5);
  return std::min(most, priced(request, prices, nowMs, request.promptTokens, tokens, 0).money);
}

} // namespace matrixos::gateway
