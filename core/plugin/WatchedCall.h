#pragma once

#include "plugin/CallGate.h"
#include "plugin/CallPool.h"
#include "plugin/ServiceProxy.h"

#include <matrixos/abi/base.h>
#include <matrixos/file_descriptor.hpp>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

namespace matrixos::plugin {

/// One call into a provider that may hang. It runs on a thread of the CallPool while the caller waits; when the
/// deadline has passed, or the caller has cancelled, and some grace on top, the caller gets its answer from the host
/// and goes, and the thread stays behind with this object. Everything the provider was lent is therefore owned here:
/// copies of the arguments, the buffer and the error for its answer. What belongs to the caller, its sink and its
/// cancelled(), is called under a lock and not at all once the caller has gone.
class WatchedCall : public PoolJob, private CallGateCaller, public std::enable_shared_from_this<WatchedCall> {
public:
  /// A stream that gets what happens ends when its provider leaves; other calls are let end by themselves.
  enum class Kind { Ends, Follows };

  /// `function`: static text such as "create()". `call` is the caller's, null allowed.
  WatchedCall(std::shared_ptr<ServiceProvider> provider, const ServiceConsumer &consumer, const char *function,
              const mos_call *call, Kind kind = Kind::Ends);
  ~WatchedCall() override;

  /// Runs the call and waits for it. The status, with `error` filled unless it is MOS_OK.
  mos_status watch(std::chrono::nanoseconds grace, mos_error *error);
  /// The content of the buffer, once watch() gave MOS_OK.
  std::string takeAnswer() { return std::move(answer_); }

protected:
  /// Calls the provider; on the pool's thread.
  virtual mos_status invoke(const ServiceProvider &provider) = 0;

  // What invoke() lends to the provider.
  const mos_call *lentCall() const noexcept { return original_ == nullptr ? nullptr : &call_; }
  mos_buf *lentBuffer() noexcept { return &buffer_; }
  mos_error *lentError() noexcept { return &error_; }
  mos_sink lendSink(mos_sink sink);

private:
  /// Why a caller stops waiting.
  enum class End { Returned, Late, Cancelled, Stopped };

  void run() noexcept override;
  std::uint64_t countOf(const CallGate &gate) const override;

  mos_status callProvider() noexcept;
  mos_status takeBuffer(mos_status status) noexcept;
  void finish(mos_status status) noexcept;

  End wait(std::chrono::nanoseconds grace);
  std::int64_t giveUpAt(std::int64_t cancelledNs, std::chrono::nanoseconds grace) const;
  bool callerCancelled() const;
  bool abandon();
  mos_status answerInstead(End end, mos_error *error);

  static std::int32_t cancelled(const mos_call *call);
  static std::int32_t item(void *ctx, mos_str item);
  std::int32_t passOn(mos_str item) noexcept;
  void watchProvider();
  bool providerLeaves() const noexcept { return kind_ == Kind::Follows && provider_->gate.closed(); }

  const std::shared_ptr<ServiceProvider> provider_;
  const char *const function_;
  const Kind kind_;

  // The caller's; used by itself, or under borrow_ while borrowed_.
  const mos_call *const original_;
  const PluginTag *const consumer_;
  const CallGate::Here &callersGates_;
  std::int64_t beganNs_ = 0;
  mos_sink sink_{};
  std::mutex borrow_;
  bool borrowed_ = true;
  std::atomic<std::int64_t> borrowEndedNs_{0};

  // Lent to the provider.
  std::string operationId_, traceId_;
  FileDescriptor cancelFd_, endFd_; ///< endFd_: an epoll, readable when the caller cancels or the provider leaves
  mos_call call_{};
  mos_buf buffer_{};
  mos_error error_{};
  std::uint64_t sinkId_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool finished_ = false;
  std::atomic<bool> abandoned_{false};
  mos_status status_ = MOS_OK;
  std::string answer_;
};

} // namespace matrixos::plugin
