#include "plugin/PendingCalls.h"

#include <matrixos/status.hpp>

#include <vector>

namespace matrixos::plugin {

PendingCalls &PendingCalls::instance() {
  // Never destroyed: an abandoned thread may answer while the process ends.
  static auto *calls = new PendingCalls;
  return *calls;
}

mos_completion PendingCalls::wrap(const mos_completion &original, std::string consumer, std::string provider,
                                  std::shared_ptr<CallGate> inside, std::uint64_t &outId) {
  const std::lock_guard lock(mutex_);
  outId = next_++;
  entries_.emplace(outId, Entry{original, std::move(consumer), std::move(provider), std::move(inside)});
  return {reinterpret_cast<void *>(outId), &PendingCalls::answered}; // NOLINT(performance-no-int-to-ptr): a number
}

bool PendingCalls::forget(std::uint64_t id) {
  Entry entry;
  return take(id, entry);
}

bool PendingCalls::take(std::uint64_t id, Entry &out) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(id);
  if (at == entries_.end()) return false;
  out = std::move(at->second);
  entries_.erase(at);
  return true;
}

void PendingCalls::answered(void *ctx, mos_status status, mos_str json, const mos_error *error) {
  PendingCalls &self = instance();
  Entry entry;
  if (!self.take(reinterpret_cast<std::uint64_t>(ctx), entry)) {
    self.stray_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const CallGate::Pass pass = entry.inside->enter();
  if (!pass) {
    self.stray_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  entry.original.done(entry.original.ctx, status, json, error);
}

void PendingCalls::sweep(const std::string &plugin) {
  std::vector<Entry> swept;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end();) {
      if (at->second.consumer != plugin && at->second.provider != plugin) {
        ++at;
        continue;
      }
      swept.push_back(std::move(at->second));
      at = entries_.erase(at);
    }
  }
  for (const Entry &entry : swept) {
    const CallGate::Pass pass = entry.inside->enter();
    if (!pass) continue;
    mos_error error{};
    fail(&error, Status::Unavailable, "the plugin " + entry.provider + " stopped before it answered", "STOPPED");
    entry.original.done(entry.original.ctx, error.status, mos_str{}, &error);
  }
}

std::uint64_t PendingCalls::pending() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

} // namespace matrixos::plugin
