/// Writes a change to the database first, then shows it to everybody.
#pragma once

#include "InstanceStore.h"
#include "InstanceTable.h"

#include <matrixos/host.hpp>

#include <atomic>

namespace matrixos::orchestrator {

/// The only way a record changes. Each function commits, then publishes; when the commit fails nothing is published
/// and matrixos::Error is thrown. Blocks for disk. One writer per instance at a time (OperationQueue sees to that).
class Ledger {
public:
  Ledger(const InstanceStore &store, InstanceTable &table, const Log &log) : store_(store), table_(table), log_(log) {}

  Published insert(Instance next);
  /// `from` is the record as last seen; Error(Aborted) when the database has moved on, and then the table follows it.
  Published update(const Instance &from, Instance next);
  Published updatePorts(const Instance &from, Instance next);
  /// Publishes what lives in memory alone (endpoints), under a new revision.
  Published refresh(Instance next);
  /// The row and its ports go. With `tombstone` the handle stays reserved for its owner for 90 days.
  /// Gives the deletion's revision.
  std::uint64_t remove(const Instance &instance, bool tombstone);

private:
  Published commit(Instance next, auto &&write);
  Published commitFrom(const Instance &from, Instance next, auto &&write);
  void follow(const Instance &instance) noexcept;
  void refused(const Error &why) noexcept;

  const InstanceStore &store_;
  InstanceTable &table_;
  const Log &log_;
  std::atomic<bool> refuses_{false};
};

} // namespace matrixos::orchestrator
