#include "plugin/CallGate.h"

#include <utility>

namespace matrixos::plugin {

constinit thread_local CallGate::Here CallGate::here_;
constinit thread_local std::uint32_t CallGate::slotHere_ = 0;

std::uint32_t CallGate::chooseSlot() noexcept {
  static std::atomic<std::uint32_t> next{0};
  const std::uint32_t slot = next.fetch_add(1, std::memory_order_relaxed) % kSlots;
  slotHere_ = slot + 1;
  return slot;
}

CallGate::Lease::Lease(CallGate &gate) noexcept : gate_(&gate), slot_(gate.admit()) {}

CallGate::Lease &CallGate::Lease::operator=(Lease &&other) noexcept {
  std::swap(gate_, other.gate_);
  std::swap(slot_, other.slot_);
  return *this;
}

CallGate::Lease::~Lease() {
  if (slot_ != nullptr) gate_->dismiss(*slot_);
}

std::uint64_t CallGate::count(const Here &here, const CallGate &gate) {
  std::uint64_t count = here.caller != nullptr ? here.caller->countOf(gate) : 0;
  for (const Pass *pass = here.innermost; pass != nullptr; pass = pass->before_)
    count += pass->gate_ == &gate ? 1 : 0;
  return count;
}

CallGate::WorkingFor::WorkingFor(const CallGateCaller &caller) noexcept
    : before_(std::exchange(here_.caller, &caller)) {}

CallGate::WorkingFor::~WorkingFor() {
  here_.caller = before_;
}

bool CallGate::drain(std::chrono::milliseconds timeout) noexcept {
  const std::uint64_t own = count(here_, *this);
  std::unique_lock lock(mutex_);
  ++waiting_;
  const bool empty = left_.wait_for(lock, timeout, [&] { return inside() <= own; });
  --waiting_;
  return empty;
}

std::uint64_t CallGate::inside() const noexcept {
  std::uint64_t inside = 0;
  for (const Slot &slot : slots_)
    inside += slot.inside;
  return inside;
}

void CallGate::wake() noexcept {
  const std::lock_guard lock(mutex_);
  left_.notify_all();
}

} // namespace matrixos::plugin
