#include "common/CallContext.h"

#include "common/SystemError.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

namespace matrixos::common {

CallContext::CallContext(std::chrono::nanoseconds timeout, std::string operationId, std::string traceId)
    : operationId_(std::move(operationId)), traceId_(std::move(traceId)) {
  const std::int64_t now = monotonicNanos();
  const std::int64_t length = timeout.count() < 0 ? 0 : timeout.count();
  init(length > MOS_NO_DEADLINE - now ? MOS_NO_DEADLINE : now + length);
}

CallContext::CallContext(const mos_call &from)
    : operationId_(fromAbi(from.operation_id)), traceId_(fromAbi(from.trace_id)) {
  init(from.deadline_ns);
  if (MOS_HAS(&from, mos_call, cancelled) && from.cancelled(&from) != 0) cancel();
}

void CallContext::init(std::int64_t deadlineNs) {
  cancelFd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!cancelFd_) throwErrno(errno, "making an eventfd");
  call_.struct_size = sizeof call_;
  call_.cancel_fd = cancelFd_.get();
  call_.deadline_ns = deadlineNs;
  call_.operation_id = toAbi(operationId_);
  call_.trace_id = toAbi(traceId_);
  call_.ctx = this;
  call_.cancelled = [](const mos_call *call) -> std::int32_t {
    return static_cast<const CallContext *>(call->ctx)->cancelled() ? 1 : 0;
  };
}

void CallContext::cancel() noexcept {
  if (cancelled_.exchange(true, std::memory_order_acq_rel)) return;
  // Writing 1 to a fresh eventfd cannot fail or block.
  [[maybe_unused]] const int result = ::eventfd_write(cancelFd_.get(), 1);
}

} // namespace matrixos::common
