#pragma once

#include "ActivityLedger.h"
#include "InstanceIndex.h"
#include "Surroundings.h"

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace matrixos::lifecycle {

/// Puts instances to sleep that nobody uses: every check interval it lists what has been idle for longer than the
/// timeout, longest first, and stops it few at a time. A use that arrives between the decision and the stop wins,
/// because the stop is bound to the activity sequence read before the last look at the ledger.
///
/// tick() runs on one thread at a time; answers to stops may come on any. Make it with std::make_shared: answers that
/// come after its end find nobody and are dropped.
class IdlePolicy : public std::enable_shared_from_this<IdlePolicy> {
public:
  struct Settings {
    std::chrono::milliseconds checkInterval{std::chrono::minutes(5)};
    std::chrono::milliseconds idleTimeout{std::chrono::minutes(30)}; ///< 0: nothing is ever stopped
    /// Stops under way at a time. Few: a stop may take its whole grace, and wakes share the engine with it.
    std::size_t maxStops = 2;
    /// An open exchange in which nothing moves is use for so long.
    std::chrono::milliseconds silentStream{std::chrono::hours(1)};
  };
  enum class Result { Stopped, Used, Failed };
  /// Hears how each attempt ended; `error` is set when it failed. Any thread.
  using Observer = std::function<void(std::string_view handle, Result result, const Error *error)>;

  /// All borrowed but `observer`; the first check comes one interval from now.
  IdlePolicy(const Clock &clock, const InstanceIndex &index, ActivityLedger &ledger, Platform &platform,
             Settings settings, Observer observer);

  /// Takes effect at the next tick.
  void configure(Settings settings);
  Settings settings() const;
  /// Checks when it is time, and goes on with what the last check found. Call it several times a second.
  void tick();
  /// How long the instance has been idle.
  std::chrono::milliseconds idleFor(std::string_view handle) const;

private:
  std::deque<std::string> findIdle(std::int64_t seenBeforeBootMs, std::chrono::milliseconds silentStream);
  bool isIdle(std::string_view handle, std::chrono::milliseconds timeout) const;
  void tryStop(const std::string &handle, std::chrono::milliseconds timeout);
  void stopped(const std::string &handle, const Outcome &outcome);

  const Clock &clock_;
  const InstanceIndex &index_;
  ActivityLedger &ledger_;
  Platform &platform_;
  const Observer observer_;
  const std::int64_t startedBootMs_;

  mutable std::mutex mutex_;
  Settings settings_;
  std::int64_t checkedBootMs_;
  std::deque<std::string> queue_;
  std::size_t inFlight_ = 0;
  bool pushedBack_ = false;
};

} // namespace matrixos::lifecycle
