/// Which host ports are free.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <vector>

namespace matrixos::orchestrator {

/// The host ports of one instance.
struct PortPair {
  int gateway = 0;
  int shell = 0;
};

/// Picks host ports, lowest free first, from two ranges that do not overlap. What it hands out stays taken until it
/// is released, so two callers never get the same port; the database's primary key (node, port) is the second guard.
/// Any thread; no I/O.
class PortAllocator {
public:
  /// Ranges of at most `perRange` ports each; the lower one ends where the upper begins. `never` holds ports that
  /// belong to the daemon itself.
  PortAllocator(int gatewayBase, int shellBase, int perRange, const std::vector<int> &never);

  /// Notes ports that the database says are assigned.
  void markTaken(const std::vector<int> &ports);

  /// Throws Error(ResourceExhausted) when a range is used up.
  PortPair take();
  /// 0 is ignored.
  void release(int port);
  void release(PortPair pair) {
    release(pair.gateway);
    release(pair.shell);
  }

  /// A stranger listens on `port`: it is not handed out again for a while.
  void block(int port);

  /// Last port of each range, inclusive.
  PortPair last() const { return {gateway_.last, shell_.last}; }

private:
  using Clock = std::chrono::steady_clock;
  struct Range {
    const char *name;
    int first;
    int last;
    int hint; ///< nothing below is free
  };

  int takeFrom(Range &range);
  bool isFree(int port);

  std::mutex mutex_;
  Range gateway_;
  Range shell_;
  std::set<int> never_;
  std::set<int> taken_;
  std::map<int, Clock::time_point> blockedUntil_;
};

} // namespace matrixos::orchestrator
