#include "daemon/HangingCalls.h"

namespace matrixos::daemon {

namespace {

/// Nothing that does not wait takes so long, also on a machine that is busy.
constexpr std::chrono::seconds kHangs{1};

} // namespace

HangingCalls::Entries::iterator HangingCalls::enter(const Callee &callee, const Caller &caller) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  for (const Entry &entry : calls_) {
    if (now - entry.began < kHangs) break;
    if (entry.callee.list == callee.list && entry.callee.provider == callee.provider) return calls_.end();
  }
  return calls_.insert(calls_.end(), Entry{callee, caller, now});
}

HangingCalls::Leave::~Leave() {
  const std::lock_guard lock(calls.mutex_);
  calls.calls_.erase(entry);
}

std::vector<common::Executor::Ticket> HangingCalls::callers() const {
  std::vector<common::Executor::Ticket> late;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  for (const Entry &entry : calls_) {
    if (now - entry.began < kHangs) break;
    if (const auto ticket = entry.caller.load()) late.push_back(ticket);
  }
  return late;
}

} // namespace matrixos::daemon
