#pragma once

#include <matrixos/call.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace matrixos::simulated {

/// The engine's time: what it stamps on things, and how its calls wait. Any thread.
///
/// Real: the wall clock; waiting is waiting. Virtual: begins where it is told; a wait moves the time and returns at
/// once. Virtual and paused: waits until advance() brings the time; whoever is due goes on one at a time, in the order
/// of their time and then of their arrival, each to its call's end before the next.
class EngineClock {
public:
  enum class Mode { Real, Virtual };

  /// Where virtual time begins: 2024-01-01T00:00:00Z.
  static constexpr std::int64_t kVirtualStartMs = 1'704'067'200'000;

  explicit EngineClock(Mode mode, std::int64_t virtualStartMs = kVirtualStartMs);
  ~EngineClock();

  Mode mode() const noexcept { return mode_; }
  /// Milliseconds since 1970.
  std::int64_t nowMs() const;

  /// Lets `time` pass. Throws Error(Cancelled), Error(DeadlineExceeded), or Error(Unavailable) after shutdown(). A
  /// virtual wait beyond the call's deadline passes the deadline at once.
  void sleep(const Call &call, std::chrono::milliseconds time);
  /// Waits for the call's end, as a well-behaved hang does, and throws as sleep() does.
  [[noreturn]] void hang(const Call &call);
  /// Heeds neither deadline nor cancellation nor shutdown(): only release() ends it, with Error(Unavailable).
  [[noreturn]] void hangForever();
  /// Lets everyone in hangForever() go; gives how many.
  std::size_t release();

  /// Virtual only, else Error(FailedPrecondition). Returns when all who were due have gone on.
  void advance(std::chrono::milliseconds time);
  void setPaused(bool paused);
  bool paused() const;
  /// Moves virtual time forward to `ms`, never back; for an engine that remembers a later time.
  void raise(std::int64_t ms);
  /// Calls that wait for the paused time.
  std::size_t sleepers() const;
  std::size_t hanging() const;

  /// Ends every wait but the eternal ones, now and from now on.
  void shutdown();
  /// Readable after shutdown().
  int shutdownFd() const noexcept { return stopFd_; }

  /// Spans a call: its end gives the turn to the next call that is due.
  class Turn {
  public:
    explicit Turn(EngineClock &clock) noexcept : clock_(clock) {}
    Turn(const Turn &) = delete;
    Turn &operator=(const Turn &) = delete;
    ~Turn() { clock_.endTurn(); }

  private:
    EngineClock &clock_;
  };

private:
  using Due = std::pair<std::int64_t, std::uint64_t>; ///< when, and who came first

  void sleepReal(const Call &call, std::chrono::milliseconds time);
  void sleepPaused(const Call &call, std::unique_lock<std::mutex> &lock, std::int64_t until);
  void releaseDue(std::unique_lock<std::mutex> &lock, std::int64_t until);
  void endTurn() noexcept;
  void requireVirtual() const;

  const Mode mode_;
  const int stopFd_;
  std::mutex advancing_; ///< one hand on the clock at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t nowMs_;
  bool paused_ = false;
  bool stopped_ = false;
  std::set<Due> waiting_;
  Due released_{0, 0};        ///< whose turn begins; {0, 0}: nobody's
  std::thread::id turnOwner_; ///< the thread whose call has gone on and not yet ended
  std::uint64_t arrivals_ = 0;
  std::size_t hanging_ = 0;
  std::uint64_t releases_ = 0;
};

} // namespace matrixos::simulated
