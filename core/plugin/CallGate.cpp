#include "plugin/CallGate.h"

#include <unordered_map>
#include <utility>

namespace matrixos::plugin {

namespace {

/// How often the current thread is inside each gate, so that a plugin that disables itself does not wait for itself.
thread_local std::unordered_map<const CallGate *, std::uint64_t> insideHere;

} // namespace

CallGate::Pass &CallGate::Pass::operator=(Pass &&other) noexcept {
  if (this != &other) {
    if (gate_ != nullptr) gate_->leave();
    gate_ = std::exchange(other.gate_, nullptr);
  }
  return *this;
}

CallGate::Pass::~Pass() {
  if (gate_ != nullptr) gate_->leave();
}

CallGate::Pass CallGate::enter() noexcept {
  const std::lock_guard lock(mutex_);
  if (!open_) return Pass();
  ++inside_;
  ++insideHere[this];
  return Pass(this);
}

void CallGate::open() noexcept {
  const std::lock_guard lock(mutex_);
  open_ = true;
}

void CallGate::close() noexcept {
  const std::lock_guard lock(mutex_);
  open_ = false;
}

bool CallGate::drain(std::chrono::milliseconds timeout) noexcept {
  const auto here = insideHere.find(this);
  const std::uint64_t own = here == insideHere.end() ? 0 : here->second;
  std::unique_lock lock(mutex_);
  return left_.wait_for(lock, timeout, [&] { return inside_ <= own; });
}

std::uint64_t CallGate::inside() const noexcept {
  const std::lock_guard lock(mutex_);
  return inside_;
}

void CallGate::leave() noexcept {
  if (const auto here = insideHere.find(this); here != insideHere.end() && --here->second == 0) insideHere.erase(here);
  const std::lock_guard lock(mutex_);
  --inside_;
  left_.notify_all();
}

} // namespace matrixos::plugin
