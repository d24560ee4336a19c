#pragma once

#include "common/CallContext.h"
#include "common/Executor.h"
#include "common/Timers.h"
#include "storage/OutboxStore.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>

namespace matrixos::plugin {

/// How often and how long an outbox tries.
struct OutboxLimits {
  /// After the first attempt that failed; doubles with each, and comes with a fifth more or less.
  std::chrono::milliseconds firstPause{1000};
  std::chrono::milliseconds longestPause{std::chrono::hours{1}};
  /// For one attempt.
  std::chrono::milliseconds attemptTime{60'000};
  /// After which an item is parked.
  std::chrono::milliseconds mostAge{std::chrono::hours{72}};
  std::uint32_t mostAttempts = 100;
  /// Targets that are delivered to at the same time.
  std::size_t atOnce = 8;
};

/// Hands the items of one owner to who delivers them: at least once, per target in their order and one at a time, on
/// the executor. It keeps no items in memory but those under way, so what a crash interrupts is delivered again.
class OutboxDelivery : public std::enable_shared_from_this<OutboxDelivery> {
public:
  enum class Verdict { Done, Retry, Drop };
  struct Outcome {
    Verdict verdict = Verdict::Retry;
    std::string error;                       ///< of one that is tried again
    std::chrono::milliseconds retryAfter{0}; ///< 0: as the limits say
  };
  struct Parts {
    storage::OutboxStore &store;
    common::Executor &executor;
    common::Timers &timers;
    common::Owner owner;
    /// For whom, within which time.
    std::function<storage::Access()> access;
    /// Called on the executor; must not throw.
    std::function<Outcome(const mos_call *call, const storage::OutboxStore::Stored &item)> deliver;
    /// Told after each attempt: "done", "retry", "drop" or "parked"; and what could not be recorded ("failed").
    std::function<void(const char *result, const std::string &problem)> onResult;
  };

  OutboxDelivery(Parts parts, OutboxLimits limits);

  /// There may be something to deliver. Any thread; does not block.
  void wake();
  /// Begins nothing more, and cancels what runs.
  void close();
  /// Waits for what runs after close(); false when it still does.
  bool drain(std::chrono::milliseconds timeout);

private:
  using Stored = storage::OutboxStore::Stored;
  using Clock = std::chrono::steady_clock;

  void pump();
  void begin(const Stored &item);
  void deliver(const Stored &item);
  /// What becomes of the item; the pause for its target when that could not be recorded.
  std::chrono::milliseconds record(Stored item, const Outcome &outcome);
  std::chrono::milliseconds pauseAfter(std::uint32_t attempts);
  void finish(const std::string &target, std::chrono::milliseconds pause);
  void wakeIn(std::chrono::milliseconds pause);

  const Parts parts_;
  const OutboxLimits limits_;
  std::mutex mutex_;
  std::condition_variable left_;
  bool open_ = true;
  bool pumping_ = false, again_ = false;
  std::set<std::string> underWay_;                     ///< targets
  std::set<std::string> ended_;                        ///< targets whose delivery has ended since items were read
  std::map<std::string, Clock::time_point> notBefore_; ///< targets whose last outcome was not recorded
  std::set<std::shared_ptr<common::CallContext>> calls_;
  Clock::time_point wakeAt_ = Clock::time_point::max(); ///< a timer is set
  std::minstd_rand random_{std::random_device{}()};
};

} // namespace matrixos::plugin
