#pragma once

#include <matrixos/abi/base.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace matrixos::plugin {

/// Calls into one life of one plugin that were given up and have not returned since. With the fourth the plugin is not
/// called any more, until one of them returns. Thread-safe.
class AbandonedCalls {
public:
  static constexpr int kMost = 4;

  explicit AbandonedCalls(std::string plugin) : plugin_(std::move(plugin)) {}

  /// No further call is let in. Cheap.
  bool full() const noexcept { return count_.load(std::memory_order_acquire) >= kMost; }
  /// Fills in why, and what to do, and gives MOS_UNAVAILABLE.
  mos_status refuse(mos_error *error) const;

  /// A call of that name was given up; `why` as in "is 2 s past its deadline".
  void gaveUp(const char *function, const std::string &why);
  /// It has returned after all; its answer was dropped.
  void returned(const char *function);

  /// For operators: how the plugin stands; empty while nothing is abandoned.
  std::string reason() const;

private:
  const std::string plugin_;
  std::atomic<int> count_{0};
  mutable std::mutex mutex_;
  std::string last_;         ///< name of the call that was given up last
  std::int64_t sinceNs_ = 0; ///< when the oldest of an unbroken row was given up
};

} // namespace matrixos::plugin
