/// http/engine/Reactor.h: epoll for one loop, and the tasks that other threads give it; internal.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace matrixos::http {

/// Owns a descriptor of which a Reactor tells what happens to it.
class Pollable {
public:
  /// EPOLL… bits; none after Reactor::again().
  virtual void onEvents(unsigned events) = 0;

protected:
  ~Pollable() = default;
};

/// A descriptor is registered once, edge-triggered and for both directions, so that no wait costs a system call: its
/// owner remembers what it was told until reading or writing has exhausted it (epoll(7), "Level-triggered and
/// edge-triggered"). Everything but post() belongs to the thread that calls wait().
class Reactor {
public:
  /// Throws std::system_error.
  Reactor();
  ~Reactor();

  /// Throws std::system_error. remove() it before the descriptor is closed.
  void add(int fd, unsigned events, Pollable &target);
  /// Nothing reaches the target any more, not even what was fetched before. Closing alone is not enough: as long as a
  /// process that is just being forked has a copy of the descriptor, epoll goes on reporting it (epoll(7), Q6).
  void remove(int fd, const Pollable &target) noexcept;
  /// Has the target called once more, in the next round, though the kernel may have nothing new to say of it.
  void again(Pollable &target) { again_.push_back(&target); }

  /// [any-thread] Runs the task in the next round.
  void post(std::function<void()> task);
  /// Waits for events, at most that long (-1: however long it takes). dispatch() has to follow.
  void wait(int timeoutMs) noexcept;
  /// Passes on what came, then runs the tasks.
  void dispatch();

private:
  void runEvents();
  void runAgain();
  void runTasks();

  static constexpr std::size_t kMostEvents = 256;

  int epoll_ = -1;
  int wake_ = -1;
  std::array<epoll_event, kMostEvents> events_;
  int next_ = 0; // of events_, while they are passed on
  int count_ = 0;
  std::vector<Pollable *> again_;
  std::vector<Pollable *> calling_;
  std::atomic<std::thread::id> thread_{};
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  std::vector<std::function<void()>> running_;
  std::atomic<bool> posted_{false};
};

} // namespace matrixos::http
