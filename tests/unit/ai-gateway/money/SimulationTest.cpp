// Ten thousand calls against small budgets: how far each way of holding lets them pass.
#include "Kit.h"

#include <ai-gateway/money/OutputHistory.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

constexpr int kCalls = 10'000;
constexpr std::size_t kParallel = 50;

struct Flight {
  Money hold, worst;
  std::uint32_t output = 0;
  Cost cost;
};

struct Result {
  Money overshoot;    ///< the most that a day's spend was above its limit
  Money allowed;      ///< the most that the calls in flight could have passed it by
  bool within = true; ///< at each moment, the first was not above what was allowed then
  int days = 0;
};

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
        if (flights_.size() == kParallel || !admits) settleOne();
      }
      CHECK(held_ == Money());
    }
    return result_;
  }

private:
  bool reserve() {
    const MessageRequest request = parsed(body("claude-sonnet-5", "", random_() % 20'000));
    Flight flight;
    flight.worst = worstCase(request, prices(), kNow).money;
    flight.hold = worstCaseMode_ ? flight.worst
                                 : estimate(request, prices(), kNow, history_.percentile("user", "claude-sonnet-5"));
    if (spent_ + held_ + flight.hold > kLimit) return false;
    // Most answers are short, a few are long; now and then somebody has only long ones from one call to the next.
    const double spread = std::exp(std::normal_distribution<double>(6.0, 1.2)(random_));
    const bool longOnes = calls_++ / 250 % 4 == 3;
    flight.output = longOnes ? request.maxTokens
                             : std::clamp<std::uint32_t>(static_cast<std::uint32_t>(spread), 1, request.maxTokens);
    const std::string usage = R"({"input_tokens":)" + std::to_string(request.promptTokens) + R"(,"output_tokens":)" +
                              std::to_string(flight.output) + "}";
    flight.cost = settled(cost(read(false, answer("claude-sonnet-5", usage), true, 4096), request, prices(), kNow),
                          worstCase(request, prices(), kNow));
    held_ += flight.hold;
    flights_.push_back(flight);
    bound_ = Money();
    for (const Flight &each : flights_)
      bound_ += each.worst - each.hold;
    result_.allowed = std::max(result_.allowed, bound_);
    return true;
  }

  void settleOne() {
    if (flights_.empty()) return;
    const std::size_t at = random_() % flights_.size();
    const Flight flight = flights_[at];
    flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(at));
    held_ -= flight.hold;
    spent_ += flight.cost.money;
    history_.add("user", "claude-sonnet-5", flight.output);
    result_.overshoot = std::max(result_.overshoot, spent_ - kLimit);
    result_.within = result_.within && spent_ - kLimit <= bound_;
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

TEST_CASE("simulation: holds of the worst case are never passed") {
  const Result result = Simulation(true).run();
  CHECK(result.overshoot == Money());
  CHECK(result.within);
}

TEST_CASE("simulation: estimates are passed by no more than the calls in flight may") {
  const Result estimated = Simulation(false).run();
  CHECK(estimated.within);
  CHECK(estimated.overshoot <= estimated.allowed);
  CHECK(estimated.overshoot > Money()); // or nothing is shown
  MESSAGE("overshoot in pico-dollars: ", estimated.overshoot.pico(), " of ", estimated.allowed.pico(), " allowed, in ",
          estimated.days, " days");
  CHECK(estimated.days < Simulation(true).run().days); // which is what they are for
}
