#pragma once

#include "Costs.h"
#include "GatewayPlatform.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace matrixos::test {

/// A call that is found again, in the gateway's rows by its session and in the upstream's log by its scenario.
struct LabelledCall {
  std::string label;
  std::string words{}; ///< of its scenario
  bool stream = false;
  std::string handle = "alice";
  std::string model = "claude-haiku-5-5"; ///< costs what this one costs

  /// With at most 6,000 tokens of output.
  std::string body() const;
  /// All that a client sends, on a connection that is kept.
  std::string request() const;
  /// The most that is held for it, in pico-dollars.
  std::int64_t mostPico() const;
};

std::int64_t spentBy(const GatewayPlatform &platform, const std::string &handle);
/// Nothing is held for anybody.
bool holdsNothing(const GatewayPlatform &platform);

/// The books of a gateway beside what its upstream wrote down, by the calls' labels.
class Audit {
public:
  struct Booked {
    std::string handle;
    std::int64_t input = 0, output = 0, pico = 0;
    bool partial = false;
  };
  struct Owed {
    int status = 0;
    bool whole = false; ///< the answer went out to its end
    std::int64_t input = 0, output = 0, pico = 0;
    std::string scenario{};
  };

  /// Waits until the upstream has no call under way and nothing is held, and reads both. A check fails when that does
  /// not come about, when a call has two rows or went out twice, and when the reports tell other totals than the rows.
  explicit Audit(const GatewayPlatform &platform);

  /// Null: there is no row.
  const Booked *booked(const std::string &label) const;
  /// Null: nothing is owed.
  const Owed *owed(const std::string &label) const;
  const std::map<std::string, Booked> &rows() const noexcept { return booked_; }
  const std::map<std::string, Owed> &bills() const noexcept { return owed_; }
  /// The row is what the upstream's log says, to the pico-dollar.
  bool isExact(const std::string &label) const;
  /// Each of them has a row, cost something, and no more than was held for it.
  void checkBounded(const std::vector<LabelledCall> &calls) const;
  /// What both have of a call, for messages.
  std::string tell(const std::string &label) const;

private:
  void readRows(const std::string &csv);
  void readLog(const LlmUpstream &upstream);
  void compareTotals(const GatewayPlatform &platform) const;

  std::map<std::string, Booked> booked_;
  std::map<std::string, Owed> owed_;
};

} // namespace matrixos::test
