#pragma once

#include "plugin/CallGate.h"

#include <matrixos/abi/base.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace matrixos::plugin {

/// Completions that are on their way between two plugins. Neither side holds a pointer into the other: the provider
/// gets a number, so that a second or late answer finds nothing, and either side can be taken away while the other
/// still holds on. Thread-safe.
class PendingCalls {
public:
  /// The one of the process; completions may outlive every host object.
  static PendingCalls &instance();

  /// Notes `original`, which belongs to `consumer`, and gives what to hand to `provider` in its place.
  /// `inside` is entered while the original is called.
  mos_completion wrap(const mos_completion &original, std::string consumer, std::string provider,
                      std::shared_ptr<CallGate> inside, std::uint64_t &outId);
  /// The call was refused, so its completion must stay silent. False when it was answered all the same.
  bool forget(std::uint64_t id);
  /// Answers everything that `plugin` waits for, or was asked for, with MOS_UNAVAILABLE.
  void sweep(const std::string &plugin);

  std::uint64_t pending() const;
  /// Answers that came twice, or after the sweep.
  std::uint64_t strayAnswers() const noexcept { return stray_.load(std::memory_order_relaxed); }

private:
  struct Entry {
    mos_completion original{};
    std::string consumer, provider;
    std::shared_ptr<CallGate> inside;
  };

  static void answered(void *ctx, mos_status status, mos_str json, const mos_error *error);
  bool take(std::uint64_t id, Entry &out);

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Entry> entries_;
  std::uint64_t next_ = 1;
  std::atomic<std::uint64_t> stray_{0};
};

} // namespace matrixos::plugin
