/// Threads where blocking is allowed, shared fairly between plugins.
#pragma once

#include "common/Owner.h"

#include <matrixos/status.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace matrixos::common {

struct ExecutorOptions {
  /// Name of its threads, at most 15 characters.
  std::string name = "executor";
  /// Most threads at once, not counting abandoned ones. They are made when needed and end after `idleTime`.
  std::size_t threads = 16;
  /// Most tasks of one owner that run at once; 0 means three quarters of the threads, so that an owner whose tasks all
  /// hang never starves the others.
  std::size_t runningPerOwner = 0;
  /// Most tasks of one owner that wait; further ones are refused.
  std::size_t queuedPerOwner = 1024;
  std::chrono::milliseconds idleTime{30'000};
  /// Told when a task throws. Called on the task's thread; must not throw.
  std::function<void(Owner owner, std::string_view what)> onError;
};

/// A bounded pool of threads. Tasks of one owner start in the order of their submission, owners take turns. All
/// functions are thread-safe and none of them holds a lock while a task or a drop runs.
class Executor {
public:
  using Task = std::function<void()>;
  /// Stands for one submitted task; never reused.
  using Ticket = std::uint64_t;

  struct Counts {
    std::size_t queued = 0;
    std::size_t running = 0;
    /// Tasks that were given up and have not returned since.
    std::size_t abandoned = 0;
  };

  enum class Abandoned {
    Gone,    ///< the task has ended, or there never was one
    Dropped, ///< it had not started; its drop has run
    Left,    ///< it runs on, on a thread that no longer counts and ends with it
  };

  explicit Executor(ExecutorOptions options = {});
  /// Stops with 10 s for running tasks.
  ~Executor();
  Executor(const Executor &) = delete;
  Executor &operator=(const Executor &) = delete;

  /// Queues a task; at once, never blocks. Exactly one of run and drop is called, unless this throws: then neither.
  /// Throws Error: ResourceExhausted when the owner's queue is full (reason QUEUE_FULL) or no thread can be made,
  /// Unavailable once stopped or closed for this owner.
  Ticket submit(Owner owner, Task run, Task drop = {});

  /// Calls drop for all that the owner has waiting; tasks that run are left alone. Returns how many there were.
  std::size_t drop(Owner owner);
  /// Like drop(), and refuses everything of this owner from now on.
  std::size_t close(Owner owner);
  /// The closed owner has gone and will not ask again: its number need not be remembered.
  void forget(Owner owner);
  /// Waits until nothing of the owner waits or runs, abandoned tasks aside. False when time was up first. Never call it
  /// from a task of that owner.
  bool waitIdle(Owner owner, std::chrono::nanoseconds timeout);
  /// Gives up a task that takes too long. Another thread takes the place of the one that it holds.
  Abandoned abandon(Ticket ticket);

  Counts counts(Owner owner) const;
  Counts counts() const;
  /// Threads alive, without abandoned ones.
  std::size_t threads() const;

  /// Drops what waits, then gives what runs this long to end. False when tasks had to be abandoned; their threads keep
  /// what they need alive. Later calls return at once.
  bool stop(std::chrono::nanoseconds timeout);

private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

} // namespace matrixos::common
