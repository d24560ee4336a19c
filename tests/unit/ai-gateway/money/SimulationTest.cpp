// Ten thousand streams against small budgets: how far each way of holding lets them pass.
#include "Kit.h"

#include <ai-gateway/money/OutputHistory.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <utility>
#include <vector>

using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

constexpr int kCalls = 10'000;
constexpr std::size_t kParallel = 50;
constexpr const char *kModel = "claude-sonnet-5";
/// A stream is looked at once for each piece that the engine reads.
constexpr std::size_t kBlock = 32 * 1024;

struct Flight {
  MessageRequest request;
  Hold most;
  Money admitted; ///< the hold with which it went out
  Money hold;
  std::string stream;
  std::size_t seen = 0;
  std::unique_ptr<UsageReader> reader = std::make_unique<UsageReader>(true);
};

struct Result {
  Money overshoot;    ///< the most that a day's spend was above its limit
  Money allowed;      ///< the most that the calls in flight could have passed it by
  bool within = true; ///< at each moment, the first was not above what was allowed then
  int days = 0;
  int cut = 0;      ///< streams that were ended, since no more could be held for them
  Money aboveBlock; ///< the most that one of them was above its hold
};

/// A stream of so many tokens, three bytes each, `words` of them in an event.
std::string streamOf(std::uint64_t input, std::uint32_t output, std::uint32_t words) {
  const std::string usage = R"({"input_tokens":)" + std::to_string(input) + R"(,"output_tokens":)";
  std::string whole = stream(kModel, usage + "1}", usage + std::to_string(output) + "}", "");
  std::string deltas;
  for (std::uint32_t left = output; left > 0;) {
    const std::uint32_t some = std::min(left, words);
    deltas += event("content_block_delta",
                    R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":")" +
                        std::string(std::size_t{some} * 3, 'x') + "\"}}");
    left -= some;
  }
  return whole.insert(whole.find("event: content_block_stop"), deltas);
}

class Simulation {
public:
  explicit Simulation(bool worstCaseMode) : worstCaseMode_(worstCaseMode) {}

  Result run() {
    int made = 0;
    while (made < kCalls) {
      spent_ = Money();
      bound_ = Money();
      ++result_.days;
      bool admits = true;
      while (admits || !flights_.empty()) {
        admits = admits && made < kCalls && (flights_.size() == kParallel || reserve());
        made += admits && flights_.size() < kParallel ? 1 : 0;
        if (flights_.size() == kParallel || !admits) step();
      }
      CHECK(held_ == Money());
    }
    return result_;
  }

private:
  bool reserve() {
    Flight flight{parsed(body(kModel, "", random_() % 20'000))};
    flight.most = worstCase(flight.request, prices(), kNow);
    flight.admitted = flight.hold = worstCaseMode_ ? flight.most.money
                                                   : estimate(flight.request, prices(), kNow,
                                                              history_.percentile("user", kModel), flight.most.money);
    if (spent_ + held_ + flight.hold > kLimit) return false;
    // Most answers are short, a few are long; now and then somebody has only long ones from one call to the next.
    const double spread = std::exp(std::normal_distribution<double>(6.0, 1.2)(random_));
    const bool longOnes = calls_ / 250 % 4 == 3;
    const std::uint32_t most = flight.request.maxTokens;
    const std::uint32_t output =
        longOnes ? most : std::clamp<std::uint32_t>(static_cast<std::uint32_t>(spread), 1, most);
    flight.stream = streamOf(flight.request.promptTokens, output, ++calls_ % 10 == 0 ? 4'000 : 16);
    held_ += flight.hold;
    flights_.push_back(std::move(flight));
    bound_ = Money();
    for (const Flight &each : flights_)
      bound_ += each.most.money - each.admitted;
    result_.allowed = std::max(result_.allowed, bound_);
    return true;
  }

  /// The next piece of one of the streams comes.
  void step() {
    if (flights_.empty()) return;
    const std::size_t at = random_() % flights_.size();
    Flight &flight = flights_[at];
    const std::string_view piece = std::string_view(flight.stream).substr(flight.seen, kBlock);
    flight.seen += piece.size();
    flight.reader->feed(piece);
    const bool whole = flight.seen == flight.stream.size();
    if (!whole && holdsEnough(flight)) return;
    flight.reader->finish(whole);
    const Cost all = settled(cost(flight.reader->usage(), flight.request, prices(), kNow), flight.most);
    CHECK(all.partial != whole);
    held_ -= flight.hold;
    spent_ += all.money;
    if (whole) history_.add("user", kModel, all.sums.output);
    flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(at));
    result_.overshoot = std::max(result_.overshoot, spent_ - kLimit);
    result_.within = result_.within && spent_ - kLimit <= bound_;
  }

  /// As a Meter does, which asks for more than it needs, so as to ask less often.
  bool holdsEnough(Flight &flight) {
    const Money soFar = cost(flight.reader->usage(), flight.request, prices(), kNow).money;
    if (soFar <= flight.hold) return true;
    if (spent_ + held_ - flight.hold + soFar > kLimit) {
      ++result_.cut;
      result_.aboveBlock = std::max(result_.aboveBlock, soFar - flight.hold);
      return false;
    }
    held_ += soFar - flight.hold;
    flight.hold = soFar;
    return true;
  }

  static inline const Money kLimit = usd("0.5");
  const bool worstCaseMode_;
  std::mt19937 random_{20261130};
  OutputHistory history_;
  int calls_ = 0;
  std::vector<Flight> flights_;
  Money spent_, held_, bound_;
  Result result_;
};

} // namespace

TEST_CASE("simulation: holds of the worst case are never passed, and no stream is ended for them") {
  const Result result = Simulation(true).run();
  CHECK(result.overshoot == Money());
  CHECK(result.within);
  CHECK(result.cut == 0);
}

TEST_CASE("simulation: estimates are passed by no more than the calls in flight may") {
  const Result estimated = Simulation(false).run();
  CHECK(estimated.within);
  CHECK(estimated.overshoot <= estimated.allowed);
  CHECK(estimated.overshoot > Money()); // or nothing is shown
  // What a stream is above its hold when it is ended came in one piece: its bytes, all of them text.
  CHECK(estimated.cut > 0);
  CHECK(estimated.aboveBlock > Money());
  CHECK(estimated.aboveBlock <= usd("0.00001") * tokensOf(kBlock));
  MESSAGE("overshoot in pico-dollars: ", estimated.overshoot.pico(), " of ", estimated.allowed.pico(), " allowed, in ",
          estimated.days, " days; ", estimated.cut, " streams were ended, at most ", estimated.aboveBlock.pico(),
          " above their holds");
  CHECK(estimated.days < Simulation(true).run().days); // which is what they are for
}
