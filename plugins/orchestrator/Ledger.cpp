#include "Ledger.h"

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>
#include <matrixos/text/utf8.hpp>

namespace matrixos::orchestrator {

namespace {
constexpr std::int64_t kTombstoneMs = 90LL * 24 * 3600 * 1000;

} // namespace

Published Ledger::commit(Instance next, auto &&write) {
  const std::uint64_t rev = table_.beginRev();
  next.rev = rev;
  next.rowRev = rev;
  next.unstored = false;
  next.updatedAt = wallClockMs();
  next.lastError = cleanUtf8(next.lastError); // an engine's words go into JSON answers
  try {
    write(next);
  } catch (const Error &e) {
    table_.abandonRev(rev);
    refused(e);
    throw;
  } catch (...) {
    table_.abandonRev(rev);
    throw;
  }
  if (refuses_.exchange(false)) log_.info("the database takes records again");
  return table_.publish(std::move(next));
}

/// Said once: whoever asks for an instance meanwhile is refused, too.
void Ledger::refused(const Error &why) noexcept {
  const bool storage = why.status() == Status::ResourceExhausted || why.status() == Status::Unavailable ||
                       why.status() == Status::DataLoss;
  if (storage && !refuses_.exchange(true))
    log_.error("the database takes no records: wakes and provisions fail", {{"error", why.what()}});
}

Published Ledger::commitFrom(const Instance &from, Instance next, auto &&write) {
  try {
    return commit(std::move(next), write);
  } catch (const Error &e) {
    if (e.status() == Status::Aborted) follow(from);
    throw;
  }
}

Published Ledger::insert(Instance next) {
  return commit(std::move(next), [&](const Instance &row) { store_.insert(row); });
}

Published Ledger::update(const Instance &from, Instance next) {
  return commitFrom(from, std::move(next), [&](const Instance &row) { store_.update(row, from.rowRev); });
}

Published Ledger::updatePorts(const Instance &from, Instance next) {
  return commitFrom(from, std::move(next), [&](const Instance &row) { store_.updatePorts(row, from.rowRev); });
}

Published Ledger::refresh(Instance next) {
  next.rev = table_.beginRev();
  return table_.publish(std::move(next));
}

std::uint64_t Ledger::remove(const Instance &instance, bool tombstone) {
  const std::uint64_t rev = table_.beginRev();
  try {
    const std::int64_t now = wallClockMs();
    const Tombstone stone{instance.handle, instance.clerkUserId, instance.id, rev, now, now + kTombstoneMs};
    store_.remove(instance, tombstone ? &stone : nullptr);
  } catch (const Error &e) {
    table_.abandonRev(rev);
    if (e.status() == Status::Aborted) follow(instance);
    throw;
  } catch (...) {
    table_.abandonRev(rev);
    throw;
  }
  table_.remove(instance, rev);
  return rev;
}

void Ledger::follow(const Instance &instance) noexcept {
  // A commit whose answer was lost took effect after all: go on from what the database holds.
  static_cast<void>(guarded(nullptr, [&] {
    std::optional<Instance> row = store_.findById(instance.id);
    if (!row) return table_.remove(instance, table_.beginRev());
    row->endpoints = instance.endpoints;
    refresh(*std::move(row));
  }));
}

} // namespace matrixos::orchestrator
