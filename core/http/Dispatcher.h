#pragma once

#include "common/Owner.h"
#include "http/Router.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace matrixos::api {

using Clock = std::chrono::steady_clock;

/// Runs handlers on a bounded pool of threads, and keeps the routes of each owner to their share: an owner whose
/// handlers hang, or never answer, holds that many places and no more. Any thread.
///
/// A request takes a place of its owner's share before it waits for a worker, and keeps it until its handler has
/// returned and answered. One that finds no place waits for its turn, without a thread.
class Dispatcher : public std::enable_shared_from_this<Dispatcher> {
public:
  struct Options {
    int workers = 64;
    int reserve = 0;  ///< workers on top, which only the daemon's own requests (kCoreOwner) can hold
    int perOwner = 0; ///< places of one owner other than the daemon; 0: no limit
    int backlog = 64; ///< requests beyond the workers; above both the answer is Full
  };
  explicit Dispatcher(const Options &options);

  /// Names a request; the caller chooses it, and uses it once.
  using Ticket = std::uint64_t;
  enum class Outcome {
    Accepted,
    Waits, ///< for a place of its owner; see giveUp()
    Full,  ///< all workers are busy, and the backlog is full
    Stuck  ///< the owner holds all its places, and somebody has waited in vain since any of them ended
  };
  /// `run` is called on a worker, once, if the request is accepted or gets its turn.
  Outcome submit(Ticket ticket, OwnerId owner, std::function<void()> run);
  /// Takes a request out that waits for a place, and has waited long enough. False when it has one, and so will run.
  bool giveUp(Ticket ticket);
  /// The same for one whose client has left.
  void withdraw(Ticket ticket);
  /// The handler has returned and answered: its place is free.
  void release(Ticket ticket);
  /// The request is over for its client.
  void leave();

  /// Requests that are waiting or being answered.
  std::size_t open() const;
  /// Waits until no request is open; false when the deadline came first.
  bool waitEmpty(Clock::time_point deadline) const;
  /// Waits until no place of the owner is taken; false when the deadline came first.
  bool waitIdle(OwnerId owner, Clock::time_point deadline) const;

  /// No worker takes anything any more; waits until they have ended. False when one did not before the deadline: it
  /// keeps this object alive until it does.
  bool stop(Clock::time_point deadline);

private:
  struct Job {
    Ticket ticket = 0;
    OwnerId owner = 0;
    std::function<void()> run;
  };

  /// A worker without work. Shared, so that it can be woken after the lock was let go.
  struct Resting {
    std::condition_variable wake;
    bool woken = false;
  };
  using Sleeper = std::shared_ptr<Resting>;

  bool mayTakePlace(OwnerId owner) const;
  void takePlace(Job job);
  void giveTurns();
  bool startThread();
  std::list<Job>::iterator findWaiting(Ticket ticket);
  [[nodiscard]] Sleeper callWorker();
  static void wake(const Sleeper &sleeper);
  bool rest(std::unique_lock<std::mutex> &lock, const Sleeper &self);
  void work();

  const Options options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Sleeper> resting_; ///< the one that has rested least is woken first, so that the others may end
  std::deque<Job> jobs_;         ///< have a place, wait for a worker
  std::list<Job> waiting_;       ///< wait for a place, in the order in which they came
  std::map<Ticket, OwnerId> placed_;
  std::map<OwnerId, std::size_t> places_;
  std::size_t ownersPlaces_ = 0; ///< all but the daemon's own
  std::set<OwnerId> stuck_;
  std::atomic<std::size_t> open_{0};
  std::size_t threads_ = 0;
  std::size_t called_ = 0; ///< woken or started for a job, and without one yet
  bool stopping_ = false;
};

} // namespace matrixos::api
