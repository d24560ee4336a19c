#pragma once

#include "plugin/ServiceProxy.h"

#include <matrixos/abi/base.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace matrixos::plugin {

/// Completions that are on their way between two plugins. Neither side holds a pointer into the other: the provider
/// gets a number, so that a second or late answer finds nothing, and either side can be taken away while the other
/// still holds on. One that does not come by its deadline is answered by the host. Thread-safe.
class PendingCalls {
public:
  /// The one of the process; completions may outlive every host object.
  static PendingCalls &instance();

  /// One completion on its way.
  struct Entry {
    mos_completion original{};
    ServiceConsumer consumer;                ///< its gate is entered while the original is called
    std::string provider;                    ///< one life of it
    const char *function = "";               ///< static text, for messages
    std::int64_t giveUpNs = MOS_NO_DEADLINE; ///< answered with MOS_DEADLINE_EXCEEDED then
  };

  /// Notes the entry and gives what to hand to the provider in its place.
  mos_completion wrap(Entry entry, std::uint64_t &outId);
  /// The call was refused, so its completion must stay silent. False when it was answered all the same.
  bool forget(std::uint64_t id);
  /// Answers everything that `plugin` waits for, or was asked for, with MOS_UNAVAILABLE.
  void sweep(const std::string &plugin);

  std::uint64_t pending() const;
  /// Answers that came twice, or after the deadline.
  std::uint64_t strayAnswers() const noexcept { return stray_.load(std::memory_order_relaxed); }

private:
  static void answered(void *ctx, mos_status status, mos_str json, const mos_error *error);
  static void deliver(const Entry &entry, mos_status status, mos_str json, const mos_error *error);
  static void deliverElsewhere(const Entry &entry, mos_status status, mos_str json, const mos_error &error,
                               std::chrono::milliseconds patience);
  bool take(std::uint64_t id, Entry &out);
  void stray(std::uint64_t id);
  void watchDeadlines();
  void answerLate(const Entry &entry);

  mutable std::mutex mutex_;
  std::condition_variable sooner_;
  std::map<std::uint64_t, Entry> entries_;
  std::set<std::pair<std::int64_t, std::uint64_t>> deadlines_;
  std::set<std::uint64_t> swept_; ///< answered by sweep(): a plugin that ends may answer them once more
  std::uint64_t next_ = 1;
  bool watching_ = false; ///< the thread for deadlines runs
  std::atomic<std::uint64_t> stray_{0};
};

} // namespace matrixos::plugin
