#include "StartupThrottle.h"

#include <algorithm>
#include <vector>

namespace matrixos::proxy {

bool StartupThrottle::enter(const void *request, Admitted admitted) {
  const std::lock_guard lock(mutex_);
  if (inside_.empty()) moved_ = Clock::now();
  if (inside_.size() < kAtOnce) {
    inside_.insert(request);
    return true;
  }
  outside_.emplace_back(request, std::move(admitted));
  return false;
}

std::chrono::milliseconds StartupThrottle::enterAnyway(const void *request) {
  const std::lock_guard lock(mutex_);
  if (inside_.count(request) != 0) return patience_; // it is being told so
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - moved_);
  if (since < patience_) return patience_ - since;
  std::erase_if(outside_, [&](const auto &one) { return one.first == request; });
  inside_.insert(request);
  return std::chrono::milliseconds{0};
}

void StartupThrottle::leave(const void *request) noexcept {
  std::vector<Admitted> next;
  {
    const std::lock_guard lock(mutex_);
    if (inside_.erase(request) != 0)
      moved_ = Clock::now();
    else
      std::erase_if(outside_, [&](const auto &one) { return one.first == request; });
    while (inside_.size() < kAtOnce && !outside_.empty()) {
      inside_.insert(outside_.front().first);
      next.push_back(std::move(outside_.front().second));
      outside_.pop_front();
    }
  }
  for (const Admitted &admitted : next)
    admitted();
}

} // namespace matrixos::proxy
