#pragma once

#include <matrixos/cache_line.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

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
/// calls and waits for those inside. Thread-safe. A thread may enter again while it is inside. Calls of different
/// threads share no lock, and mostly no cache line.
class CallGate {
  struct Slot;

public:
  /// One call of the current thread, which leaves the gates that it entered in reverse order.
  class Pass {
  public:
    Pass() = default;
    explicit Pass(CallGate &gate) noexcept { enter(gate); }
    Pass(const Pass &) = delete;
    Pass &operator=(const Pass &) = delete;
    ~Pass() { leave(); }
    /// False when the gate was closed.
    explicit operator bool() const noexcept { return gate_ != nullptr; }

    /// Only while it is in none.
    bool enter(CallGate &gate) noexcept;
    void leave() noexcept;

  private:
    friend class CallGate;
    CallGate *gate_ = nullptr;
    Slot *slot_ = nullptr;
    const Pass *before_ = nullptr; ///< of the same thread
  };

  /// Keeps a gate entered for as long as it exists, on behalf of no thread. False in a boolean context when the gate
  /// was closed.
  class Lease {
  public:
    Lease() = default;
    explicit Lease(CallGate &gate) noexcept;
    Lease(Lease &&other) noexcept : gate_(other.gate_), slot_(std::exchange(other.slot_, nullptr)) {}
    Lease &operator=(Lease &&other) noexcept;
    ~Lease();
    explicit operator bool() const noexcept { return slot_ != nullptr; }

  private:
    CallGate *gate_ = nullptr;
    Slot *slot_ = nullptr; ///< null: in no gate
  };

  /// What one thread is inside of. Only the thread itself changes it.
  struct Here {
    const Pass *innermost = nullptr;
    const CallGateCaller *caller = nullptr;
  };
  static const Here &here() noexcept { return here_; }
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

  Pass enter() noexcept { return Pass(*this); }
  void open() noexcept { open_ = true; }
  /// Refuses new calls from now on.
  void close() noexcept { open_ = false; }
  bool closed() const noexcept { return !open_; }
  /// Waits until nobody is inside; false when `timeout` passed before. Calls of the waiting thread itself, and of those
  /// it works for, are not waited for.
  bool drain(std::chrono::milliseconds timeout) noexcept;
  /// How many calls are inside. Once it is closed and this was 0, nobody comes in any more.
  std::uint64_t inside() const noexcept;

private:
  struct alignas(kCacheLine) Slot {
    std::atomic<std::uint32_t> inside{0};
  };
  static constexpr std::uint32_t kSlots = 8;

  // Each is written before the other is read, on either side, so one of the two sees the other: who enters that it is
  // closed, or who has closed it that somebody entered; who leaves that somebody waits, or who waits that he left.
  Slot *admit() noexcept {
    Slot &slot = slots_[slotHere_ != 0 ? slotHere_ - 1 : chooseSlot()];
    ++slot.inside;
    if (open_) return &slot;
    dismiss(slot);
    return nullptr;
  }
  void dismiss(Slot &slot) noexcept {
    --slot.inside;
    if (waiting_ != 0) wake();
  }
  static std::uint32_t chooseSlot() noexcept;
  void wake() noexcept;

  static constinit thread_local Here here_; ///< so that a plugin that disables itself does not wait for itself
  static constinit thread_local std::uint32_t slotHere_; ///< one more than its number; 0: not chosen yet

  std::atomic<bool> open_{true};
  std::atomic<std::uint32_t> waiting_{0}; ///< threads in drain()
  std::array<Slot, kSlots> slots_;
  std::mutex mutex_;
  std::condition_variable left_;
};

inline bool CallGate::Pass::enter(CallGate &gate) noexcept {
  slot_ = gate.admit();
  if (slot_ == nullptr) return false;
  gate_ = &gate;
  before_ = here_.innermost;
  here_.innermost = this;
  return true;
}

inline void CallGate::Pass::leave() noexcept {
  if (gate_ == nullptr) return;
  here_.innermost = before_;
  gate_->dismiss(*slot_);
  gate_ = nullptr;
}

} // namespace matrixos::plugin
