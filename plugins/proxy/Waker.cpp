#include "Waker.h"

namespace matrixos::proxy {

bool WakeGate::enter(const std::string &handle) {
  const std::lock_guard lock(mutex_);
  if (all_ >= total_) return false;
  std::size_t &count = byHandle_[handle];
  if (count >= perHandle_) return false;
  ++count;
  ++all_;
  return true;
}

void WakeGate::leave(const std::string &handle) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found == byHandle_.end()) return;
  --all_;
  if (--found->second == 0) byHandle_.erase(found);
}

std::size_t WakeGate::waiting() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

} // namespace matrixos::proxy
