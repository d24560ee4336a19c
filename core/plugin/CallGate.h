#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace matrixos::plugin {

class CallGate;

/// A caller that waits while another thread works for it: that thread counts as inside what the caller is inside of.
class CallGateCaller {
public:
  /// How often the caller is inside the gate; 0 once it no longer waits.
  virtual std::uint64_t countOf(const CallGate &gate) const = 0;

protected:
  ~CallGateCaller() = default;
};

/// Counts the calls that are inside something which may be taken away: a plugin, a service. Closing it refuses new
/// calls and waits for those inside. Thread-safe. A thread may enter again while it is inside.
class CallGate {
public:
  /// One call. False in a boolean context when the gate was closed.
  class Pass {
  public:
    Pass() = default;
    explicit Pass(CallGate *gate) noexcept : gate_(gate) {}
    Pass(Pass &&other) noexcept : gate_(other.gate_) { other.gate_ = nullptr; }
    Pass &operator=(Pass &&other) noexcept;
    ~Pass();
    explicit operator bool() const noexcept { return gate_ != nullptr; }

  private:
    CallGate *gate_ = nullptr;
  };

  /// What one thread is inside of. Opaque; only the thread itself changes it.
  struct Here;
  static const Here &here() noexcept;
  /// How often that thread, or the one it works for, is inside the gate.
  static std::uint64_t count(const Here &here, const CallGate &gate);

  /// While it lives the current thread works for `caller`.
  class WorkingFor {
  public:
    explicit WorkingFor(const CallGateCaller &caller) noexcept;
    ~WorkingFor();
    WorkingFor(const WorkingFor &) = delete;
    WorkingFor &operator=(const WorkingFor &) = delete;

  private:
    const CallGateCaller *before_;
  };

  Pass enter() noexcept;
  void open() noexcept;
  /// Refuses new calls from now on.
  void close() noexcept;
  bool closed() const noexcept { return !open_.load(std::memory_order_acquire); }
  /// Waits until nobody is inside; false when `timeout` passed before. Calls of the waiting thread itself, and of those
  /// it works for, are not waited for.
  bool drain(std::chrono::milliseconds timeout) noexcept;
  std::uint64_t inside() const noexcept;

private:
  void leave() noexcept;

  mutable std::mutex mutex_;
  std::condition_variable left_;
  std::uint64_t inside_ = 0;
  std::atomic<bool> open_{true}; ///< changed under mutex_
};

} // namespace matrixos::plugin
