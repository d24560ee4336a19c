#include "plugin/WatchedCall.h"

#include "common/SystemError.h"
#include "plugin/AbandonedCalls.h"
#include "plugin/PluginBoundary.h"

#include <matrixos/call.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <unordered_map>

namespace matrixos::plugin {

namespace {

/// How often somebody who waits looks whether his call was cancelled or the provider's plugin was given up. Only calls
/// that hang notice it: the others return at once when they are cancelled.
constexpr std::int64_t kLookNs = 250'000'000;
/// The same once the call has been too long, while the caller's own sink keeps it.
constexpr std::int64_t kSinkLookNs = 20'000'000;

/// Sinks by number, so that a provider that calls one after the call has returned finds nothing.
class Sinks {
public:
  static Sinks &instance() {
    static auto *sinks = new Sinks;
    return *sinks;
  }
  std::uint64_t add(std::shared_ptr<WatchedCall> call) {
    const std::lock_guard lock(mutex_);
    calls_.emplace(++last_, std::move(call));
    return last_;
  }
  std::shared_ptr<WatchedCall> find(std::uint64_t id) const {
    const std::lock_guard lock(mutex_);
    const auto at = calls_.find(id);
    return at == calls_.end() ? nullptr : at->second;
  }
  void remove(std::uint64_t id) {
    std::shared_ptr<WatchedCall> last;
    const std::lock_guard lock(mutex_);
    const auto at = calls_.find(id);
    if (at == calls_.end()) return;
    last = std::move(at->second);
    calls_.erase(at);
  }

private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<WatchedCall>> calls_;
  std::uint64_t last_ = 0;
};

} // namespace

WatchedCall::WatchedCall(std::shared_ptr<ServiceProvider> provider, const ServiceConsumer &consumer,
                         const char *function, const mos_call *call, Kind kind)
    : provider_(std::move(provider)), function_(function), kind_(kind), original_(call), consumer_(consumer.tag),
      callersGates_(CallGate::here()) {
  if (call == nullptr) return;
  operationId_ = fromAbi(call->operation_id);
  traceId_ = fromAbi(call->trace_id);
  // A descriptor of its own: the caller closes his when he goes, and the number would become somebody else's.
  if (call->cancel_fd >= 0) cancelFd_.reset(::fcntl(call->cancel_fd, F_DUPFD_CLOEXEC, 0));
  call_.struct_size = sizeof call_;
  if (kind_ == Kind::Follows) watchProvider();
  call_.cancel_fd = endFd_ ? endFd_.get() : cancelFd_ ? cancelFd_.get() : -1;
  call_.deadline_ns = call->deadline_ns;
  call_.operation_id = toAbi(operationId_);
  call_.trace_id = toAbi(traceId_);
  call_.ctx = this;
  call_.cancelled = &WatchedCall::cancelled;
}

WatchedCall::~WatchedCall() = default;

void WatchedCall::watchProvider() {
  endFd_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!endFd_) common::throwErrno(errno, "making an epoll descriptor");
  for (const FileDescriptor *fd : {&cancelFd_, &provider_->leavingFd}) {
    epoll_event readable{};
    readable.events = EPOLLIN;
    if (*fd && ::epoll_ctl(endFd_.get(), EPOLL_CTL_ADD, fd->get(), &readable) != 0)
      common::throwErrno(errno, "watching a descriptor");
  }
}

mos_status WatchedCall::watch(std::chrono::nanoseconds grace, mos_error *error) {
  if (provider_->abandoned->full()) return provider_->abandoned->refuse(error);
  CallPool::instance().run(shared_from_this());
  const End end = wait(grace);
  if (end != End::Returned) return answerInstead(end, error);
  if (status_ != MOS_OK && error != nullptr) *error = error_;
  return status_;
}

// ------------------------------------------------------------------------------------------------- the pool's thread

void WatchedCall::run() noexcept {
  mos_status status = MOS_OK;
  {
    const CallGate::WorkingFor caller(*this);
    // Taken here and not by the caller: it lasts as long as the provider's code runs.
    const CallGate::Pass pass = provider_->gate.enter();
    if (pass)
      status = takeBuffer(callProvider());
    else
      status = fail(&error_, Status::Unavailable, "the plugin that provides the service has just stopped",
                    "SERVICE_UNAVAILABLE", 1000);
  }
  finish(status);
}

mos_status WatchedCall::callProvider() noexcept {
  const mos_status status = callPlugin(provider_->tag, function_, &error_, [&] { return invoke(*provider_); });
  if (status == MOS_CANCELLED && providerLeaves()) {
    return fail(&error_, Status::Unavailable, "the plugin that provides the service stops", "SERVICE_UNAVAILABLE",
                1000);
  }
  return checkedStatus(provider_->tag, function_, status, &error_);
}

/// Copies the answer, so that the consumer never touches the provider's memory, and releases it.
mos_status WatchedCall::takeBuffer(mos_status status) noexcept {
  return callPlugin(provider_->tag, function_, &error_, [&]() -> mos_status {
    if (status == MOS_OK && !checkBuffer(provider_->tag, function_, buffer_, &error_)) return MOS_INTERNAL;
    if (status == MOS_OK && buffer_.len != 0) answer_.assign(buffer_.ptr, buffer_.len);
    if (buffer_.release != nullptr) buffer_.release(&buffer_);
    return status;
  });
}

void WatchedCall::finish(mos_status status) noexcept {
  if (sinkId_ != 0) Sinks::instance().remove(sinkId_);
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    status_ = status;
    late = abandoned_;
  }
  if (late)
    guarded(nullptr, [&] { provider_->abandoned->returned(function_); });
  else
    ended_.notify_one();
}

std::uint64_t WatchedCall::countOf(const CallGate &gate) const {
  // While he is not abandoned the caller waits, under this lock or for it, and stands still.
  const std::lock_guard lock(mutex_);
  return abandoned_ ? 0 : CallGate::count(callersGates_, gate);
}

std::int32_t WatchedCall::cancelled(const mos_call *call) {
  auto &self = *static_cast<WatchedCall *>(call->ctx);
  if (self.abandoned_ || self.providerLeaves()) return 1;
  if (self.cancelFd_) {
    pollfd poll{self.cancelFd_.get(), POLLIN, 0};
    return ::poll(&poll, 1, 0) > 0 ? 1 : 0;
  }
  if (!MOS_HAS(self.original_, mos_call, cancelled)) return 0;
  const std::lock_guard lock(self.borrow_);
  return !self.borrowed_ || self.original_->cancelled(self.original_) != 0 ? 1 : 0;
}

mos_sink WatchedCall::lendSink(mos_sink sink) {
  sink_ = sink;
  sinkId_ = Sinks::instance().add(shared_from_this());
  return {reinterpret_cast<void *>(sinkId_), &WatchedCall::item}; // NOLINT(performance-no-int-to-ptr): a number
}

std::int32_t WatchedCall::item(void *ctx, mos_str item) {
  if (const auto self = Sinks::instance().find(reinterpret_cast<std::uint64_t>(ctx))) return self->passOn(item);
  const PluginTag *by = PluginScope::here().plugin;
  PluginFaults::instance().report(by != nullptr ? by->id : "unknown", PluginFault::Stray,
                                  "an item came for a call that had returned; it was dropped");
  return MOS_SINK_STOP;
}

std::int32_t WatchedCall::passOn(mos_str item) noexcept {
  const std::lock_guard lock(borrow_);
  if (!borrowed_ || sink_.item == nullptr || providerLeaves()) return MOS_SINK_STOP;
  if (item.ptr == nullptr) item.len = 0;
  std::int32_t answer = MOS_SINK_STOP;
  callBackPlugin(consumer_, "a sink", [&] { answer = sink_.item(sink_.ctx, item); });
  borrowEndedNs_ = monotonicNanos();
  return answer;
}

// ------------------------------------------------------------------------------------------------- the caller's thread

bool WatchedCall::callerCancelled() const {
  return original_ != nullptr && MOS_HAS(original_, mos_call, cancelled) && original_->cancelled(original_) != 0;
}

/// Neither time before the call nor what the caller's own sink took counts against the provider.
std::int64_t WatchedCall::giveUpAt(std::int64_t cancelledNs, std::chrono::nanoseconds grace) const {
  std::int64_t limit = original_ == nullptr ? MOS_NO_DEADLINE : call_.deadline_ns;
  if (cancelledNs != 0) limit = std::min(limit, cancelledNs);
  limit = std::max({limit, beganNs_, borrowEndedNs_.load()});
  return limit > MOS_NO_DEADLINE - grace.count() ? MOS_NO_DEADLINE : limit + grace.count();
}

WatchedCall::End WatchedCall::wait(std::chrono::nanoseconds grace) {
  std::int64_t cancelledNs = 0;
  std::int64_t now = beganNs_ = monotonicNanos();
  for (;;) {
    if (cancelledNs == 0 && callerCancelled()) cancelledNs = now;
    const std::int64_t limit = giveUpAt(cancelledNs, grace);
    const std::int64_t until = limit > now ? std::min(limit, now + kLookNs) : now + kSinkLookNs;
    {
      std::unique_lock lock(mutex_);
      const std::chrono::steady_clock::time_point when{std::chrono::nanoseconds{until}}; // libstdc++: CLOCK_MONOTONIC
      if (ended_.wait_until(lock, when, [&] { return finished_; })) return End::Returned;
    }
    now = monotonicNanos();
    const bool stopped = provider_->givenUp;
    if (!stopped && now < giveUpAt(cancelledNs, grace)) continue;
    if (!abandon()) continue;
    if (stopped) return End::Stopped;
    return cancelledNs != 0 ? End::Cancelled : End::Late;
  }
}

/// False when the call has just returned, or is inside the caller's sink.
bool WatchedCall::abandon() {
  const std::unique_lock borrow(borrow_, std::try_to_lock);
  if (!borrow) return false;
  const std::lock_guard lock(mutex_);
  if (finished_) return false;
  borrowed_ = false;
  abandoned_ = true;
  return true;
}

mos_status WatchedCall::answerInstead(End end, mos_error *error) {
  const std::string who = provider_->tag->id;
  const std::string call = std::string("the plugin ") + who + " does not return from " + function_;
  switch (end) {
  case End::Cancelled:
    provider_->abandoned->gaveUp(function_, "goes on although it was cancelled");
    return fail(error, Status::Cancelled, call + " although it was cancelled; the call was given up", "PLUGIN_HANGS");
  case End::Stopped:
    provider_->abandoned->gaveUp(function_, "goes on although its plugin was stopped");
    return fail(error, Status::Unavailable, call + " although it was stopped; the call was given up", "PLUGIN_HANGS");
  case End::Late:
  case End::Returned:
    break;
  }
  provider_->abandoned->gaveUp(function_, "is past its deadline");
  return fail(error, Status::DeadlineExceeded, call + " although its deadline has passed; the call was given up",
              "PLUGIN_HANGS");
}

} // namespace matrixos::plugin
