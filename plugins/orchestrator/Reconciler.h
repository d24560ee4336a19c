/// Compares what should exist with what does, and sets the difference right.
#pragma once

#include "Engine.h"
#include "Operation.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

namespace matrixos::orchestrator {

/// The database decides what should exist, the engine decides what does. A pass lists the engine once, takes up what a
/// crash left half-way, lets records follow the engine, tries failed starts again, and stops containers of ours that
/// no record means. It only queues operations, which ask the engine afresh, so a list that is outdated by the time it
/// is read does no harm; only where a running container listens, which is not stored, is taken from the list for
/// records that have not changed since. Without a complete list a pass changes nothing else. What agrees is not kept: a
/// pass over 100,000 instances that are as they should be holds one bit of each.
class Reconciler {
public:
  explicit Reconciler(Workshop &workshop) : shop_(workshop) {}

  /// Blocks on the engine; a pass that finds another one running returns at once. Never throws.
  void pass() noexcept;
  /// The same, but what is so now is looked at: after one that is running, which may have looked before, comes another.
  void passAfresh() noexcept;
  /// Waits for a running pass; later ones do nothing. Engine::cancelAll() comes first.
  void close() noexcept;

private:
  using Containers = std::map<std::string, std::vector<Description>>; ///< by instance

  /// What one listing of the engine said.
  struct Listing {
    std::uint64_t beganAt = 0;                    ///< the revision that everything was at before it
    std::size_t size = 0;                         ///< containers
    Containers notable;                           ///< those that do not simply run as their record says
    std::unordered_set<std::uint64_t> agreeing{}; ///< revisions of the records that agree
  };

  struct Orphan {
    std::chrono::steady_clock::time_point firstSeen;
    int passes = 0;
    bool quarantined = false;
    bool second = false; ///< its instance has a container of its own beside it
  };

  void passAlone() noexcept;
  void compare();
  void listed(Description container, const std::string &installId, Listing &listing);
  void check(const Instance &record, const Containers &containers, const std::string &installId);
  void lookForOrphans(const Listing &listing);
  /// Those of one instance that its record does not mean.
  std::vector<const Description *> strayOf(const std::string &instanceId, const std::vector<Description> &all,
                                           const Listing &listing) const;
  bool quarantine(const Description &container, Orphan &orphan);

  Workshop &shop_;
  std::mutex running_;
  std::atomic<bool> isAsked_{false};      ///< for a pass that has not begun
  bool closed_ = false;                   ///< guarded by running_
  std::map<std::string, Orphan> orphans_; ///< by ref; of the pass alone
};

} // namespace matrixos::orchestrator
