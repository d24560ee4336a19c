#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace matrixos::plugin {

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

  Pass enter() noexcept;
  void open() noexcept;
  /// Refuses new calls from now on.
  void close() noexcept;
  /// Waits until nobody is inside; false when `timeout` passed before. Calls of the waiting thread itself are not
  /// waited for.
  bool drain(std::chrono::milliseconds timeout) noexcept;
  std::uint64_t inside() const noexcept;

private:
  void leave() noexcept;

  mutable std::mutex mutex_;
  std::condition_variable left_;
  std::uint64_t inside_ = 0;
  bool open_ = true;
};

} // namespace matrixos::plugin
