/// matrixos/call.hpp: owned buffers, call contexts and completions of the ABI as C++ objects.
#pragma once

#include <matrixos/status.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos {
inline namespace v1 {

/// Now on the clock that deadlines are measured with (CLOCK_MONOTONIC), in nanoseconds.
inline std::int64_t monotonicNanos() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

/// Receives a mos_buf and releases it.
class Buffer {
public:
  Buffer() = default;
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() {
    if (buf_.release != nullptr) buf_.release(&buf_);
  }

  /// Out-argument of an ABI call; use once.
  mos_buf *out() noexcept { return &buf_; }
  std::string_view view() const noexcept {
    return buf_.len == 0 ? std::string_view{} : std::string_view{buf_.ptr, static_cast<std::size_t>(buf_.len)};
  }
  std::string str() const { return std::string(view()); }

private:
  mos_buf buf_{};
};

/// Hands `text` over as an owned buffer. Throws std::bad_alloc and then leaves `out` untouched.
inline void giveBuffer(mos_buf *out, std::string text) {
  auto owner = std::make_unique<std::string>(std::move(text));
  out->ptr = owner->data();
  out->len = owner->size();
  out->owner = owner.release();
  out->release = [](mos_buf *buf) {
    delete static_cast<std::string *>(buf->owner);
    *buf = mos_buf{};
  };
}

/// The callee's view of a call context; borrowed for the call. A null context means no deadline and no cancellation.
class Call {
public:
  explicit Call(const mos_call *call) noexcept : call_(call) {}

  const mos_call *abi() const noexcept { return call_; }
  std::int64_t deadlineNanos() const noexcept { return call_ == nullptr ? MOS_NO_DEADLINE : call_->deadline_ns; }
  /// What is left, 0 once the deadline has passed, at most `cap`.
  std::chrono::milliseconds remaining(std::chrono::milliseconds cap) const noexcept {
    if (deadlineNanos() == MOS_NO_DEADLINE) return cap;
    const std::int64_t left = (deadlineNanos() - monotonicNanos()) / 1'000'000;
    if (left <= 0) return std::chrono::milliseconds{0};
    return left < cap.count() ? std::chrono::milliseconds{left} : cap;
  }
  bool cancelled() const noexcept {
    return call_ != nullptr && call_->cancelled != nullptr && call_->cancelled(call_) != 0;
  }
  /// Readable once cancelled; -1 when there is none. Poll it, never read it.
  int cancelFd() const noexcept { return call_ == nullptr ? -1 : call_->cancel_fd; }
  std::string_view operationId() const noexcept {
    return call_ == nullptr ? std::string_view{} : fromAbi(call_->operation_id);
  }
  std::string_view traceId() const noexcept { return call_ == nullptr ? std::string_view{} : fromAbi(call_->trace_id); }

  /// Throws Error(Cancelled) or Error(DeadlineExceeded) when it is time to stop.
  void throwIfDone() const {
    if (cancelled()) throw Error(Status::Cancelled, "the operation was cancelled");
    if (deadlineNanos() != MOS_NO_DEADLINE && monotonicNanos() >= deadlineNanos()) {
      throw Error(Status::DeadlineExceeded, "the operation ran out of time");
    }
  }

private:
  const mos_call *call_;
};

/// The caller's side of a call context. Lives until the call has returned; cancel() may come from any thread.
class CallScope {
public:
  explicit CallScope(std::chrono::milliseconds timeout, std::string operationId = {}, std::string traceId = {})
      : operationId_(std::move(operationId)), traceId_(std::move(traceId)),
        fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    call_.struct_size = sizeof call_;
    call_.cancel_fd = fd_;
    call_.deadline_ns =
        timeout == std::chrono::milliseconds::max() ? MOS_NO_DEADLINE : monotonicNanos() + timeout.count() * 1'000'000;
    call_.operation_id = toAbi(operationId_);
    call_.trace_id = toAbi(traceId_);
    call_.ctx = this;
    call_.cancelled = [](const mos_call *call) -> std::int32_t {
      return static_cast<const CallScope *>(call->ctx)->cancelled_.load(std::memory_order_acquire) ? 1 : 0;
    };
  }
  CallScope(const CallScope &) = delete;
  CallScope &operator=(const CallScope &) = delete;
  ~CallScope() {
    if (fd_ >= 0) ::close(fd_);
  }

  const mos_call *abi() const noexcept { return &call_; }
  void cancel() noexcept {
    if (cancelled_.exchange(true, std::memory_order_acq_rel) || fd_ < 0) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
  }

private:
  std::string operationId_;
  std::string traceId_;
  int fd_;
  std::atomic<bool> cancelled_{false};
  mos_call call_{};
};

/// The callee's duty to answer: moves along with the work and answers exactly once. Destroyed unanswered, it fails.
class Completion {
public:
  explicit Completion(mos_completion done) noexcept : done_(done) {}
  Completion(Completion &&other) noexcept : done_(std::exchange(other.done_, mos_completion{})) {}
  Completion &operator=(Completion &&other) noexcept {
    if (this != &other) {
      abandon();
      done_ = std::exchange(other.done_, mos_completion{});
    }
    return *this;
  }
  ~Completion() { abandon(); }

  void succeed(std::string_view json) noexcept {
    const mos_completion done = std::exchange(done_, mos_completion{});
    if (done.done != nullptr) done.done(done.ctx, MOS_OK, toAbi(json), nullptr);
  }
  void fail(const Error &error) noexcept {
    const mos_completion done = std::exchange(done_, mos_completion{});
    if (done.done == nullptr) return;
    mos_error text{};
    v1::fail(&text, error.status(), error.what(), error.reason(), error.retryAfterMs());
    done.done(done.ctx, text.status, mos_str{}, &text);
  }
  /// For the provider's border. Runs a command that either takes the completion over (moves it away or answers it)
  /// or throws to refuse; a refusal is the call's own failure, so done must then stay silent.
  template <typename Command>
  static mos_status command(mos_completion done, mos_error *error, Command &&run) noexcept {
    Completion completion(done);
    const mos_status status = guarded(error, [&] { run(completion); });
    if (status == MOS_OK || completion.done_.done == nullptr) return MOS_OK;
    completion.done_ = mos_completion{};
    return status;
  }

private:
  void abandon() noexcept {
    if (done_.done == nullptr) return;
    const mos_completion done = std::exchange(done_, mos_completion{});
    mos_error text{};
    v1::fail(&text, Status::Unavailable, "the operation was given up because its plugin is stopping", "STOPPING");
    done.done(done.ctx, text.status, mos_str{}, &text);
  }

  mos_completion done_;
};

/// What a completion delivered: the JSON, or the error.
struct Outcome {
  Status status = Status::Ok;
  std::string_view json;        ///< borrowed for the callback
  const Error *error = nullptr; ///< set when status is not Ok
};

/// The caller's side: calls `invoke(mos_completion, mos_error *)` and later `then(outcome)`, exactly once in all, also
/// when the call itself is refused. `then` must not block or throw.
template <typename Invoke>
void withCompletion(std::function<void(const Outcome &)> then, Invoke &&invoke) {
  auto owned = std::make_unique<std::function<void(const Outcome &)>>(std::move(then));
  const mos_completion done{owned.get(), [](void *ctx, mos_status status, mos_str json, const mos_error *error) {
                              const std::unique_ptr<std::function<void(const Outcome &)>> self(
                                  static_cast<std::function<void(const Outcome &)> *>(ctx));
                              if (status == MOS_OK) return (*self)(Outcome{Status::Ok, fromAbi(json), nullptr});
                              const Error failure = toError(status, error != nullptr ? *error : mos_error{});
                              (*self)(Outcome{failure.status(), {}, &failure});
                            }};
  mos_error error{};
  auto *callback = owned.release(); // from here on `done` owns it, unless the call is refused
  const mos_status status = invoke(done, &error);
  if (status == MOS_OK) return;
  owned.reset(callback);
  const Error failure = toError(status, error);
  (*owned)(Outcome{failure.status(), {}, &failure});
}

/// A sink over a callable `bool item(std::string_view)` that answers false to stop. What it throws is kept and thrown
/// by rethrow(), on the caller's side of the border.
template <typename Item>
class SinkOf {
public:
  explicit SinkOf(Item item) : item_(std::move(item)) {}
  mos_sink abi() noexcept {
    return {this, [](void *ctx, mos_str text) -> std::int32_t {
              auto *self = static_cast<SinkOf *>(ctx);
              try {
                return self->item_(fromAbi(text)) ? MOS_SINK_CONTINUE : MOS_SINK_STOP;
              } catch (...) {
                self->failure_ = std::current_exception();
                return MOS_SINK_STOP;
              }
            }};
  }
  void rethrow() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

private:
  Item item_;
  std::exception_ptr failure_;
};

} // namespace v1
} // namespace matrixos
