#include "Cost.h"

#include <algorithm>
#include <utility>

namespace matrixos::gateway {

namespace {

/// Of an answer in one piece that never came: it may have been nearly ready.
constexpr std::uint32_t kUnseenOutput = 1'000;

void add(std::uint32_t &sum, std::uint32_t count) noexcept {
  sum = clampCount(std::uint64_t{sum} + count);
}
std::uint32_t less(std::uint32_t from, std::uint32_t count) noexcept {
  return from - std::min(from, count);
}

void add(TokenCounts &sum, const TokenCounts &counts) noexcept {
  add(sum.input, counts.input);
  add(sum.cacheRead, counts.cacheRead);
  add(sum.cacheWrite5m, counts.cacheWrite5m);
  add(sum.cacheWrite1h, counts.cacheWrite1h);
  add(sum.output, counts.output);
  add(sum.webSearches, counts.webSearches);
}

/// `hour`: writes of which nothing else is known are for an hour.
TokenCounts countsOf(const CountedTokens &tokens, bool hour) noexcept {
  TokenCounts counts;
  counts.input = tokens.input.value_or(0);
  counts.cacheRead = tokens.cacheRead.value_or(0);
  counts.output = tokens.output.value_or(0);
  counts.cacheWrite5m = tokens.write5m.value_or(0);
  counts.cacheWrite1h = tokens.write1h.value_or(0);
  const std::uint64_t told = std::uint64_t{counts.cacheWrite5m} + counts.cacheWrite1h;
  const std::uint32_t rest = less(tokens.cacheCreation.value_or(0), clampCount(told));
  const bool split = tokens.write5m || tokens.write1h;
  add(split || hour ? counts.cacheWrite1h : counts.cacheWrite5m, rest);
  return counts;
}

/// What the answer's own figures hold beyond those of its iterations.
TokenCounts beyond(const TokenCounts &all, const TokenCounts &parts, bool hour) noexcept {
  TokenCounts rest;
  rest.input = less(all.input, parts.input);
  rest.cacheRead = less(all.cacheRead, parts.cacheRead);
  rest.output = less(all.output, parts.output);
  const std::uint32_t writes = less(clampCount(std::uint64_t{all.cacheWrite5m} + all.cacheWrite1h),
                                    clampCount(std::uint64_t{parts.cacheWrite5m} + parts.cacheWrite1h));
  (hour ? rest.cacheWrite1h : rest.cacheWrite5m) = writes;
  rest.webSearches = all.webSearches;
  return rest;
}

class Counting {
public:
  Counting(const Usage &usage, const MessageRequest &request, const PriceTable &prices, std::int64_t startedMs)
      : usage_(usage), request_(request), prices_(prices), startedMs_(startedMs) {
    cost_.model = usage.model.empty() ? request.model : usage.model;
    const auto any = [&usage](auto &&holds) {
      return std::any_of(usage.iterations.begin(), usage.iterations.end(), holds);
    };
    fellBack_ = any([](const Iteration &run) { return run.kind == Iteration::Kind::Fallback; }) &&
                any([](const Iteration &run) {
                  return run.kind != Iteration::Kind::Aside && run.tokens.output.value_or(0) > 0;
                });
    hour_ = request.caching == MessageRequest::Caching::Hour || usage.tokens.write1h.value_or(0) > 0;
  }

  Cost run() {
    TokenCounts own = countsOf(usage_.tokens, hour_);
    own.webSearches = usage_.webSearches.value_or(0);
    const bool whole = usage_.ended && usage_.outputCounted && usage_.tokens.input && !usage_.broken;
    const bool free = whole && usage_.stopReason == "refusal" && own.output == 0;
    const bool silent = !free && own == TokenCounts{} && tellsNothing();
    cost_.partial = !whole || silent;
    if (cost_.partial) estimate(own, silent);
    const TokenCounts rest = usage_.iterations.empty() || silent ? own : beyond(own, countIterations(free), hour_);
    count(cost_.model, rest, free);
    return std::move(cost_);
  }

private:
  /// A model that wrote nothing, so that another was asked.
  bool isDeclined(const Iteration &run) const noexcept {
    return fellBack_ && run.kind != Iteration::Kind::Aside && run.tokens.output.value_or(0) == 0;
  }

  /// No iteration has a figure that counts.
  bool tellsNothing() const noexcept {
    return std::all_of(usage_.iterations.begin(), usage_.iterations.end(),
                       [this](const Iteration &run) { return countsOf(run.tokens, hour_) == TokenCounts{}; });
  }

  void estimate(TokenCounts &own, bool silent) const noexcept {
    if (!usage_.tokens.input || silent) {
      const std::uint32_t prompt = clampCount(request_.promptTokens);
      (request_.caching == MessageRequest::Caching::None ? own.input
       : hour_                                           ? own.cacheWrite1h
                                                         : own.cacheWrite5m) = prompt;
    }
    const std::uint32_t seen = clampCount(tokensOf(usage_.uncountedBytes));
    if (usage_.outputCounted && !silent) return add(own.output, seen);
    const std::uint32_t unseen = usage_.streamed ? 1 : std::min(request_.maxTokens, kUnseenOutput);
    own.output = std::max({own.output, seen, unseen});
    add(own.input, clampCount(tokensOf(usage_.toolResultBytes)));
    own.webSearches = std::max(own.webSearches, usage_.searchesBegun);
  }

  /// Those that are besides the answer's own figures count on top of these; returns the sum of the others.
  TokenCounts countIterations(bool free) {
    TokenCounts parts;
    for (const Iteration &run : usage_.iterations) {
      const TokenCounts counts = countsOf(run.tokens, hour_);
      const bool aside = run.kind == Iteration::Kind::Aside;
      if (!aside) add(parts, counts);
      count(run.model.empty() ? cost_.model : run.model, counts, isDeclined(run) || (free && !aside));
    }
    return parts;
  }

  void count(std::string_view model, const TokenCounts &counts, bool free) {
    add(cost_.sums, counts);
    if (free || counts == TokenCounts{}) return;
    const bool fast = (usage_.speed.empty() ? request_.fast : usage_.speed == "fast") && model == cost_.model;
    const std::string &geo = usage_.geo.empty() ? request_.geo : usage_.geo;
    const auto price = prices_.price(model, startedMs_, counts, {fast, usage_.serviceTier == "batch", geo});
    cost_.money += price.money;
    cost_.unknownModel = cost_.unknownModel || !price.known;
  }

  const Usage &usage_;
  const MessageRequest &request_;
  const PriceTable &prices_;
  const std::int64_t startedMs_;
  bool hour_ = false;
  bool fellBack_ = false; ///< one model wrote where another did not
  Cost cost_;
};

} // namespace

Cost cost(const Usage &usage, const MessageRequest &request, const PriceTable &prices, std::int64_t startedMs) {
  return Counting(usage, request, prices, startedMs).run();
}

Cost settled(Cost cost, const Hold &most) {
  if (most.bounded && cost.money > most.money) {
    cost.money = most.money;
    cost.partial = true;
  }
  return cost;
}

} // namespace matrixos::gateway
