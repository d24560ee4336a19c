#pragma once

#include "common/Executor.h"

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::daemon {

/// The calls that are inside of providers which may not block, and those among them that hang all the same.
/// Thread-safe.
class HangingCalls {
public:
  /// Who is called: a provider, as it stands in one list of them. One that comes again has a new list.
  struct Callee {
    std::shared_ptr<const void> list;
    const void *provider = nullptr;
  };
  /// The task that calls, once it is known; 0 before.
  using Caller = std::atomic<common::Executor::Ticket>;

  /// Calls it with `call`, unless an earlier call of it hangs: then false. `caller` is looked at during the call.
  template <typename Call>
  bool make(const Callee &callee, const Caller &caller, Call &&call) {
    const auto entry = enter(callee, caller);
    if (entry == calls_.end()) return false;
    const Leave leave{*this, entry};
    call();
    return true;
  }
  /// The tasks whose calls hang.
  std::vector<common::Executor::Ticket> callers() const;

private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    Callee callee;
    const Caller &caller;
    Clock::time_point began;
  };
  using Entries = std::list<Entry>;
  struct Leave {
    HangingCalls &calls;
    Entries::iterator entry;
    ~Leave();
  };

  Entries::iterator enter(const Callee &callee, const Caller &caller);

  mutable std::mutex mutex_;
  Entries calls_; ///< the oldest first
};

} // namespace matrixos::daemon
