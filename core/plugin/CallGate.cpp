#include "plugin/CallGate.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace matrixos::plugin {

struct CallGate::Here {
  std::vector<const CallGate *> gates; ///< once for each time it is inside
  const CallGateCaller *caller = nullptr;
};

namespace {

/// So that a plugin that disables itself does not wait for itself.
thread_local CallGate::Here insideHere;

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

const CallGate::Here &CallGate::here() noexcept {
  return insideHere;
}

std::uint64_t CallGate::count(const Here &here, const CallGate &gate) {
  const auto own = static_cast<std::uint64_t>(std::count(here.gates.begin(), here.gates.end(), &gate));
  return own + (here.caller != nullptr ? here.caller->countOf(gate) : 0);
}

CallGate::WorkingFor::WorkingFor(const CallGateCaller &caller) noexcept
    : before_(std::exchange(insideHere.caller, &caller)) {}

CallGate::WorkingFor::~WorkingFor() {
  insideHere.caller = before_;
}

CallGate::Pass CallGate::enter() noexcept {
  const std::lock_guard lock(mutex_);
  if (!open_) return Pass();
  ++inside_;
  insideHere.gates.push_back(this);
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
  const std::uint64_t own = count(insideHere, *this);
  std::unique_lock lock(mutex_);
  return left_.wait_for(lock, timeout, [&] { return inside_ <= own; });
}

std::uint64_t CallGate::inside() const noexcept {
  const std::lock_guard lock(mutex_);
  return inside_;
}

void CallGate::leave() noexcept {
  auto &gates = insideHere.gates;
  const auto last = std::find(gates.rbegin(), gates.rend(), this);
  if (last != gates.rend()) gates.erase(std::next(last).base());
  const std::lock_guard lock(mutex_);
  --inside_;
  left_.notify_all();
}

} // namespace matrixos::plugin
