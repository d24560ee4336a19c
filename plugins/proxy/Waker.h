/// Waker.h: how the wake stage gets instances started, and how many requests may wait for one.
#pragma once

#include "RouteTable.h"

#include <matrixos/status.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace matrixos::proxy {

/// How a wake ended.
struct WakeResult {
  Status status = Status::Ok;
  std::string json;              ///< on success: {"instance", "phases"}, see abi/lifecycle.h
  std::string reason{};          ///< on failure: UPPER_SNAKE_CASE or empty; fit for those outside
  std::int64_t retryAfterMs = 0; ///< on failure: 0 without advice
  std::string ended{};           ///< on failure: how its program ended, in words fit for those outside; or empty
};

/// Starts instances. Thread-safe.
class Waker {
public:
  using Done = std::function<void(const WakeResult &)>;

  virtual ~Waker() = default;
  /// Calls `done` exactly once, on any thread, perhaps before it returns. However many ask for one instance, it is
  /// started once. Gives a ticket for forget(), or 0. Never blocks.
  virtual std::uint64_t ensureRunning(std::string_view handle, std::string_view endpoint,
                                      std::chrono::milliseconds deadline, Done done) = 0;
  virtual void forget(std::uint64_t ticket) noexcept = 0;
};

/// Bounds how many requests wait, in all and per instance, so that a flood for one instance leaves places for others.
/// It also knows which wake began when. Thread-safe.
class WakeGate {
public:
  using Clock = std::chrono::steady_clock;

  WakeGate(std::size_t perHandle, std::size_t total) : perHandle_(perHandle), total_(total) {}

  /// Applies to requests that enter from now on.
  void limit(std::size_t perHandle, std::size_t total) noexcept;
  enum class Entry { Entered, InstanceFull, HouseFull };
  /// A request that got Entered must leave() again.
  Entry enter(const std::string &handle);
  void leave(const std::string &handle) noexcept;
  std::size_t waiting() const;

  /// A wake under way.
  struct Standing {
    std::size_t ahead = 0; ///< wakes that began before it
    Clock::duration since{};
  };
  Standing standing(const std::string &handle) const;
  /// A waiting request leaves, but its wake goes on: true for the first one of the handle, whose ticket is noted and
  /// whose place stays taken until leave().
  bool leaveBehind(const std::string &handle, std::uint64_t ticket) noexcept;
  /// How a wake failed after all who waited had been left behind. Nobody would ever hear of it.
  void noteFailure(const std::string &handle, const WakeResult &failure);
  /// Gives the next one who asks what was noted a moment ago, once.
  std::optional<WakeResult> takeFailure(const std::string &handle);
  /// The noted tickets, to be forgotten at the end.
  std::vector<std::uint64_t> leftBehind() const;

private:
  struct Wake {
    std::size_t waiters = 0;
    std::uint64_t order = 0;
    Clock::time_point since;
    std::uint64_t leftBehind = 0; // a ticket
  };

  mutable std::mutex mutex_;
  std::size_t perHandle_;
  std::size_t total_;
  std::size_t all_ = 0;
  std::uint64_t lastOrder_ = 0;
  std::unordered_map<std::string, Wake> byHandle_;
  std::unordered_map<std::string, std::pair<WakeResult, Clock::time_point>> failures_;
};

/// A place that was entered, and what a held request and the one who answers it, on another thread, have to agree on:
/// who gives it back.
class WakeClaim {
public:
  WakeClaim(std::shared_ptr<WakeGate> gate, std::shared_ptr<ActivityCell> cell)
      : gate_(std::move(gate)), cell_(std::move(cell)) {
    cell_->waiters.fetch_add(1, std::memory_order_relaxed);
  }

  /// Gives back the place; once.
  void leave() noexcept {
    cell_->waiters.fetch_sub(1, std::memory_order_relaxed);
    gate_->leave(cell_->handle);
  }
  /// The same after abandon() and finish(); who asks next hears of a failure.
  void leaveBehind(const WakeResult &result) {
    if (result.status != Status::Ok && result.status != Status::Cancelled) gate_->noteFailure(cell_->handle, result);
    leave();
  }
  /// The request ends, the wake goes on. False: it has ended already.
  bool abandon() noexcept { return state_.exchange(State::Abandoned) == State::Held; }
  /// The wake has ended. True: nobody is left to give back the place.
  bool finish() noexcept { return state_.exchange(State::Finished) == State::Abandoned; }

private:
  enum class State : std::uint8_t { Held, Abandoned, Finished };
  const std::shared_ptr<WakeGate> gate_;
  const std::shared_ptr<ActivityCell> cell_;
  std::atomic<State> state_{State::Held};
};

} // namespace matrixos::proxy
