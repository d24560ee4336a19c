/// The caller's side of mos_call.
#pragma once

#include <matrixos/abi/base.h>
#include <matrixos/file_descriptor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace matrixos::common {

/// Owns a mos_call: its texts, its deadline and its cancel descriptor. It has to outlive the call, so a call that may
/// be abandoned holds it by shared_ptr. The deadline does not cancel by itself: whoever waits calls cancel() when it
/// gives up, so that cancelled() and cancel_fd agree.
class CallContext {
public:
  /// A call that ends `timeout` from now; a negative or zero timeout has already passed, nanoseconds::max()
  /// never passes.
  explicit CallContext(std::chrono::nanoseconds timeout, std::string operationId = {}, std::string traceId = {});
  /// Copies deadline and ids of another call, and whether it is cancelled now; later cancels do not carry over.
  explicit CallContext(const mos_call &from);

  /// For the callee; valid as long as this object.
  const mos_call *abi() const noexcept { return &call_; }

  /// Tells the callee to stop. Any thread, any number of times.
  void cancel() noexcept;
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }

  std::int64_t deadlineNs() const noexcept { return call_.deadline_ns; }

private:
  void init(std::int64_t deadlineNs);

  std::string operationId_;
  std::string traceId_;
  FileDescriptor cancelFd_;
  std::atomic<bool> cancelled_{false};
  mos_call call_{};
};

} // namespace matrixos::common
