/// The tables `containers`, `port_assignments` and `handle_tombstones`.
#pragma once

#include "Instance.h"

#include <matrixos/host.hpp>

#include <functional>
#include <optional>
#include <vector>

namespace matrixos::orchestrator {

/// A handle that was given up: nobody but its last owner gets it until it expires.
struct Tombstone {
  std::string handle;
  std::string clerkUserId;
  std::string instanceId;
  std::uint64_t rev = 0;
  std::int64_t deletedAt = 0;
  std::int64_t expiresAt = 0;
};

/// Last use of an instance, as it goes to disk.
struct ActivityRow {
  std::string id;
  std::int64_t lastActive = 0;
  std::uint64_t activitySeq = 0;
};

/// All SQL of the plugin. Blocks for disk; any thread where that is allowed. A write is atomic and durable on return,
/// and fails with Error(Aborted) when the row is not at the revision it was read at.
class InstanceStore {
public:
  explicit InstanceStore(Sql db) : db_(db) {}

  /// Brings the tables up to date.
  void migrate() const;

  void forEach(const std::function<void(Instance)> &row) const;
  std::optional<Instance> findById(std::string_view id) const;
  /// Highest revision ever given to a row that is still known, tombstones included.
  std::uint64_t maxRev() const;
  /// Host ports taken on `node`.
  std::vector<int> portsOf(std::string_view node) const;

  /// The row, and its ports if it has some, in one batch.
  void insert(const Instance &instance) const;
  /// Everything but ports and activity, if the row is at `expectedRev`.
  void update(const Instance &instance, std::uint64_t expectedRev) const;
  /// The same, and other ports in place of the old ones.
  void updatePorts(const Instance &instance, std::uint64_t expectedRev) const;
  /// The row and its ports; leaves a tombstone if given one.
  void remove(const Instance &instance, const Tombstone *tombstone) const;

  std::optional<Tombstone> findTombstone(std::string_view handle) const;
  /// Of the instance with this id.
  std::optional<Tombstone> findTombstoneOf(std::string_view instanceId) const;
  /// From now on anybody may have the handle; false when it was not reserved. The tombstone stays: its revision counts.
  bool releaseHandle(std::string_view handle, std::int64_t nowMs) const;
  void saveActivity(const std::vector<ActivityRow> &rows) const;

private:
  std::optional<Tombstone> tombstoneBy(const char *column, std::string_view value) const;

  Sql db_;
};

} // namespace matrixos::orchestrator
