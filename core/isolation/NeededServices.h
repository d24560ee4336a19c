#pragma once

#include "common/Executor.h"
#include "common/ServiceDescription.h"
#include "isolation/FrameChannel.h"
#include "isolation/HostCalls.h"
#include "isolation/ServedCall.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::isolation {

/// Makes in the daemon, as the plugin, the calls of a plugin's process into services of others, and those of its host
/// that take time (HostCalls). The process knows the
/// tables that it has acquired by their numbers. Nothing here waits but the threads that make the calls, each of which
/// ends when its service answers or the host gives the call up. Thread-safe.
class NeededServices : public std::enable_shared_from_this<NeededServices> {
public:
  struct Limits {
    std::size_t calls = 128;                 ///< being made at a time; more are refused
    std::size_t completions = 1024;          ///< that have not come
    std::size_t tables = 256;                ///< different ones, of all processes of the plugin
    std::size_t bytes = 32U << 20U;          ///< of the arguments of calls
    std::size_t listBytes = 32U << 20U;      ///< of items that a function which must not wait gives at once
    std::chrono::milliseconds stall{30'000}; ///< for which a call waits with an item that its caller does not take
    std::chrono::milliseconds end{3'000};    ///< for calls to return once nobody wants them
  };

  NeededServices(const mos_host_v1 *host, HostCalls::CallPlugin callPlugin)
      : NeededServices(host, std::move(callPlugin), Limits()) {}
  NeededServices(const mos_host_v1 *host, HostCalls::CallPlugin callPlugin, Limits limits);
  ~NeededServices();
  NeededServices(const NeededServices &) = delete;
  NeededServices &operator=(const NeededServices &) = delete;

  /// Another process asks from now on, behind this channel.
  void attach(std::shared_ptr<FrameChannel> channel);
  /// The process has gone: its calls are cancelled, its tables released.
  void detach();
  /// Once the plugin has stopped, before the host goes; waits for what is inside.
  void end();

  /// The number of the table. Throws Error as the host says, ResourceExhausted for too many.
  std::uint16_t acquire(std::string_view service, std::string_view instance);
  /// Throws Error(NotFound) for a table that the process does not hold.
  void release(std::int64_t table);
  /// One item for each instance, see mos_host_services_v1.declared.
  std::vector<std::string> declared(std::string_view service) const;

  // Throw Error("PROTOCOL") for what an honest process does not send.
  void call(const CallFrame &frame);
  void cancel(const CancelFrame &frame);
  void credit(const CreditFrame &frame);

private:
  /// What the plugin has acquired, now or earlier.
  struct Table {
    std::string service, instance;
    const common::ServiceDescription *description = nullptr;
    const void *table = nullptr;
    int holds = 0; ///< of the present process
  };
  struct Call;
  struct Pending;

  void acquireInto(Table &table) const;
  void releaseAll();
  void renew(Table &table) const;
  std::shared_ptr<Call> accept(const CallFrame &frame);
  std::shared_ptr<Call> find(std::uint64_t id) const;
  void find(Call &call);
  void forget(const Call &call);
  void work(Call &call);
  mos_status run(Call &call, std::string &json, std::uint64_t &number, mos_error *error);
  mos_status invoke(const Call &call, const Answers &answers);
  bool giveItem(Call &call, std::string_view item) const;
  bool keepItem(Call &call, std::string_view item) const;
  Pending *expect(const Call &call);
  std::unique_ptr<Pending> take(const Pending *pending);
  static void completed(void *ctx, mos_status status, mos_str json, const mos_error *error);

  const mos_host_services_v1 *const host_;
  HostCalls hostCalls_;
  const Limits limits_;
  mutable std::mutex mutex_;
  std::shared_ptr<FrameChannel> channel_;
  bool ended_ = false;
  std::vector<Table> tables_;
  std::map<std::uint64_t, std::shared_ptr<Call>> calls_;        ///< of the present process
  std::size_t running_ = 0;                                     ///< calls, of all processes
  std::size_t bytes_ = 0;                                       ///< of their arguments
  std::map<const Pending *, std::unique_ptr<Pending>> pending_; ///< completions that may come
  common::Executor threads_;                                    ///< last: they end first
};

} // namespace matrixos::isolation
