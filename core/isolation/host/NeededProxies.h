#pragma once

#include "common/Executor.h"
#include "common/ServiceDescription.h"
#include "isolation/CallTable.h"
#include "isolation/HostCalls.h"
#include "isolation/host/DaemonLink.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace matrixos::isolation::host {

/// Services of others as the plugin sees them in its own process: tables whose functions call the daemon, which calls
/// whoever provides the service. Thread-safe.
class NeededProxies {
public:
  explicit NeededProxies(DaemonLink &link);

  /// A table of the service, valid as long as this object; the same one for the same provider's place. Throws Error.
  const void *acquire(std::string_view service, std::string_view instance);
  /// Throws Error(NotFound) for what acquire() did not give, or gave less often.
  void release(const void *table);

  /// Asks the host for what takes time; `request` without slot. MOS_UNAVAILABLE after close().
  mos_status callHost(HostFunction function, const char *name, CallRequest request, const mos_call *call,
                      mos_error *error) noexcept;
  /// The plugin has stopped: calls are refused, and completions that have not come come now, with MOS_UNAVAILABLE; none
  /// begins later. False when one still ran after `patience`.
  bool close(std::chrono::nanoseconds patience);

  /// UseResult, UseItem, UseDone; on the receiving thread. Throws Error("PROTOCOL").
  void onFrame(FrameType type, std::string_view payload);

private:
  struct Table : mos_forwarder_v1 {
    NeededProxies *proxies = nullptr;
    const common::ServiceDescription *service = nullptr;
    std::uint16_t number = 0; ///< the daemon's
    std::atomic<int> holds{0};
    std::vector<std::uint64_t> table; ///< what the plugin gets
  };

  mos_status call(const Table &table, std::uint32_t number, void *const *args) noexcept;
  mos_status callAsync(CallRequest &request, const mos_completion &done, const mos_call *call, mos_error *error);
  std::optional<mos_completion> take(std::uint64_t number);
  void complete(const mos_completion &done, mos_status status, const mos_error &error, std::string_view json);
  Table &tableOf(std::uint16_t number, const common::ServiceDescription &service);

  DaemonLink &link_;
  CallTable calls_;
  std::atomic<bool> open_{true};
  std::mutex acquiring_; ///< tables_, and held while the daemon is asked for them
  std::deque<Table> tables_;
  std::mutex mutex_; ///< completions_, and held while one that was taken joins the queue: so close() misses none
  std::uint64_t lastCompletion_ = 0;
  std::map<std::uint64_t, mos_completion> completions_;
  common::Executor threads_; ///< on which completions are called
};

} // namespace matrixos::isolation::host
