#include "Ledger.h"

#include <matrixos/status.hpp>

namespace matrixos::orchestrator {

namespace {
constexpr std::int64_t kTombstoneMs = 90LL * 24 * 3600 * 1000;

/// Length of the UTF-8 character at `at` (Unicode 15, table 3-7); 0 when there is none.
std::size_t characterLength(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                             : (lead & 0xF0U) == 0xE0       ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    const unsigned next = byte(at + i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) return 0;
  }
  return length;
}

/// An engine's words go into JSON answers: whatever is no UTF-8 becomes U+FFFD.
std::string cleanText(const std::string &text) {
  std::string clean;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = characterLength(text, at);
    clean += length == 0 ? std::string("\xEF\xBF\xBD") : text.substr(at, length);
    at += length == 0 ? 1 : length;
  }
  return clean;
}

} // namespace

template <typename Write>
InstancePtr Ledger::commit(Instance next, Write &&write) {
  const std::uint64_t rev = table_.beginRev();
  next.rev = rev;
  next.rowRev = rev;
  next.updatedAt = nowMs();
  next.lastError = cleanText(next.lastError);
  try {
    write(next);
  } catch (...) {
    table_.abandonRev(rev);
    throw;
  }
  auto shared = std::make_shared<const Instance>(std::move(next));
  table_.publish(shared);
  return shared;
}

InstancePtr Ledger::insert(Instance next) {
  return commit(std::move(next), [&](const Instance &row) { store_.insert(row); });
}

InstancePtr Ledger::update(const Instance &from, Instance next) {
  try {
    return commit(std::move(next), [&](const Instance &row) { store_.update(row, from.rowRev); });
  } catch (const Error &e) {
    if (e.status() == Status::Aborted) follow(from);
    throw;
  }
}

InstancePtr Ledger::updatePorts(const Instance &from, Instance next) {
  try {
    return commit(std::move(next), [&](const Instance &row) { store_.updatePorts(row, from.rowRev); });
  } catch (const Error &e) {
    if (e.status() == Status::Aborted) follow(from);
    throw;
  }
}

InstancePtr Ledger::refresh(Instance next) {
  next.rev = table_.beginRev();
  auto shared = std::make_shared<const Instance>(std::move(next));
  table_.publish(shared);
  return shared;
}

std::uint64_t Ledger::remove(const Instance &instance, bool tombstone) {
  const std::uint64_t rev = table_.beginRev();
  try {
    const std::int64_t now = nowMs();
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
