#pragma once

#include "CallKind.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::simulated {

/// How a call goes wrong.
enum class Effect : std::uint8_t {
  LostReply,     ///< the effect happens, the answer is UNAVAILABLE
  NotFound,      ///< NOT_FOUND without effect, and so on for the next five
  AlreadyExists, ///< ALREADY_EXISTS / NAME_IN_USE
  PortInUse,     ///< ABORTED / PORT_IN_USE
  Denied,        ///< PERMISSION_DENIED / ENGINE_DENIED, for a pull IMAGE_DENIED
  Internal,      ///< INTERNAL, what an engine's 500 becomes
  Unavailable,   ///< UNAVAILABLE / ENGINE_UNREACHABLE
  Hang,          ///< nothing until the deadline or the cancellation
  HangForever,   ///< nothing, whatever the caller does, until an operator lets it go
  HalfList,      ///< half of the items, then UNAVAILABLE / ENGINE_REPLY
  HalfReply,     ///< success with the first half of the JSON: an engine that lies
  Slow,          ///< the delay on top of the latency, then as ever
  Exit,          ///< of start: it ends at once with exit code 1
};
constexpr std::array<std::string_view, 13> kEffectNames{
    "lost_reply", "not_found",    "already_exists", "port_in_use", "denied", "internal", "unavailable",
    "hang",       "hang_forever", "half_list",      "half_reply",  "slow",   "exit"};
constexpr std::string_view nameOf(Effect effect) noexcept {
  return kEffectNames[static_cast<std::size_t>(effect)];
}

/// "The third create of matrixos-a* loses its answer." Rules count the calls that they match.
struct FaultRule {
  std::optional<CallKind> call; ///< nothing: every call
  std::string match;            ///< pattern of what the call is about, with * and ?; empty: anything
  Effect effect = Effect::Internal;
  std::uint64_t nth = 0;   ///< only the n-th match
  std::uint64_t every = 0; ///< each n-th match
  double probability = 1;  ///< of each match, else
  std::uint64_t times = 0; ///< at most so often; 0: without end
  std::chrono::milliseconds delay{0};
  std::string message; ///< in place of the usual words

  /// "create lost_reply nth=3 name=matrixos-a*": call or *, effect, then options in any order.
  static FaultRule parseLine(std::string_view line);
  /// {"rules": [{"call": "create", "match": {"name": "matrixos-a*"}, "nth": 3, "effect": "lost_reply"}, …]} or the
  /// array alone. Both throw Error(InvalidArgument, BAD_FAULT) that names rule and member.
  static std::vector<FaultRule> parseJson(std::string_view text);
};

/// What a rule decided for one call.
struct InjectedFault {
  Effect effect;
  std::chrono::milliseconds delay;
  std::string message;
};

/// The rules in force, and how often each matched and struck. Those from the control routes come first, then those of
/// the file, then those of the configuration; the first that strikes decides. Any thread.
class FaultScript {
public:
  enum class Source : std::uint8_t { Control, File, Config };

  explicit FaultScript(std::uint64_t seed) : seed_(seed) {}

  void replace(Source source, std::vector<FaultRule> rules);
  void append(Source source, std::vector<FaultRule> rules);
  /// `subject`: name of the container, image or volume that the call is about; empty when it is about none.
  std::optional<InjectedFault> decide(CallKind call, std::string_view subject);
  /// Array of rules with "source", "matched" and "struck".
  std::string json() const;

private:
  struct Entry {
    FaultRule rule;
    std::uint64_t stream = 0; ///< its own random numbers
    std::uint64_t matched = 0;
    std::uint64_t struck = 0;
  };

  bool strikes(Entry &entry) const;

  const std::uint64_t seed_;
  mutable std::mutex mutex_;
  std::array<std::vector<Entry>, 3> entries_;
};

} // namespace matrixos::simulated
