/// Compares what should exist with what does, and sets the difference right.
#pragma once

#include "Engine.h"
#include "Operation.h"

#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace matrixos::orchestrator {

/// The database decides what should exist, the engine decides what does. A pass lists the engine once, takes up what a
/// crash left half-way, lets records follow the engine, tries failed starts again, and stops containers of ours that
/// have no record. It only queues operations, which ask the engine afresh, so a list that is outdated by the time it
/// is read does no harm. Without a complete list a pass changes nothing.
class Reconciler {
public:
  explicit Reconciler(Workshop &workshop) : shop_(workshop) {}

  /// Blocks on the engine; a pass that finds another one running returns at once. Never throws.
  void pass() noexcept;
  /// Waits for a running pass; later ones do nothing. Engine::cancelAll() comes first.
  void close() noexcept;

private:
  using Containers = std::map<std::string, Description>; ///< by name

  struct Orphan {
    std::chrono::steady_clock::time_point firstSeen;
    int passes = 0;
    bool quarantined = false;
  };

  void compare();
  void check(const Instance &record, const Containers &containers, const std::string &installId);
  void lookForOrphans(const Containers &containers);
  bool quarantine(const Description &container, Orphan &orphan);

  Workshop &shop_;
  std::mutex running_;
  bool closed_ = false;                   ///< guarded by running_
  std::map<std::string, Orphan> orphans_; ///< by ref; of the pass alone
};

} // namespace matrixos::orchestrator
