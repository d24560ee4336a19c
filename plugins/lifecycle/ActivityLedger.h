#pragma once

#include "Surroundings.h"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::lifecycle {

/// Uses within one minute of the wall clock.
struct UseBucket {
  std::int64_t atMs = 0; ///< of the last use in it
  std::uint64_t count = 0;
};

/// Remembers when each instance was last used, as seen in this process, and gathers what has to be passed on. Kept in
/// memory only: after a restart everything counts from then. Thread-safe; every function is short enough for event
/// loops.
class ActivityLedger {
public:
  /// More handles than this are not remembered; what exists is far below it, what does not exist must not fill memory.
  static constexpr std::size_t kMaxEntries = 1'000'000;
  static constexpr std::size_t kBuckets = 10;

  /// Notes uses to be passed on later. True: the instance is held, the caller passes them on at once instead.
  [[nodiscard]] bool note(std::string_view handle, std::int64_t atMs, std::uint64_t count, std::int64_t bootMs);
  /// Starts the idle time anew without a use to pass on. True when the instance is held.
  bool touch(std::string_view handle, std::int64_t bootMs);
  /// An exchange with the instance is under way. It is, for a moment longer than such reports take to follow each
  /// other.
  void noteOpen(std::string_view handle, std::int64_t bootMs);

  /// Takes all that has to be passed on.
  std::vector<PendingUse> take();
  /// Takes what is due for one instance.
  std::optional<PendingUse> take(std::string_view handle);
  /// Brings back what could not be passed on.
  void putBack(std::vector<PendingUse> uses);

  /// While held, uses are passed on at once: between the decision to stop an instance and the stop itself, the
  /// orchestrator must hear of a use before it compares the activity sequence.
  void hold(std::string_view handle);
  void release(std::string_view handle);

  /// BOOTTIME until which it was used: the last use or touch, or the end of an exchange that was open, at most
  /// `silentMs` after that use. Nothing when none was seen.
  std::optional<std::int64_t> lastSeen(std::string_view handle, std::int64_t silentMs) const;
  /// Uses of late, oldest first.
  std::vector<UseBucket> recent(std::string_view handle) const;
  /// Who was last seen before that time, longest ago first.
  std::vector<std::string> seenBefore(std::int64_t bootMs, std::int64_t silentMs) const;
  /// Forgets an instance unless it is held or was seen since.
  void forget(std::string_view handle, std::int64_t seenBeforeBootMs);

private:
  struct Entry {
    std::int64_t seenBootMs = 0;
    std::int64_t openBootMs = 0; ///< an exchange is taken to be open until then
    std::uint32_t holds = 0;
    std::vector<UseBucket> buckets;

    std::int64_t usedUntil(std::int64_t silentMs) const noexcept;
  };

  Entry *entryFor(std::string_view handle);
  void addPending(std::string_view handle, std::int64_t atMs, std::uint64_t count);

  mutable std::mutex mutex_;
  StringMap<Entry> entries_;
  StringMap<PendingUse> pending_;
};

} // namespace matrixos::lifecycle
