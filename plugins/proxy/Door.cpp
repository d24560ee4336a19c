#include "Door.h"

#include <algorithm>
#include <vector>

namespace matrixos::proxy {

bool Door::knock(const void *who, Enter enter) {
  const std::lock_guard lock(mutex_);
  if (inside_.empty()) moved_ = Clock::now();
  if (inside_.size() < kAtOnce) {
    inside_.insert(who);
    return true;
  }
  outside_.emplace_back(who, std::move(enter));
  return false;
}

std::chrono::milliseconds Door::knockAgain(const void *who) {
  const std::lock_guard lock(mutex_);
  if (inside_.count(who) != 0) return patience_; // it is being told so
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - moved_);
  if (since < patience_) return patience_ - since;
  std::erase_if(outside_, [&](const auto &one) { return one.first == who; });
  inside_.insert(who);
  return std::chrono::milliseconds{0};
}

void Door::leave(const void *who) noexcept {
  std::vector<Enter> let;
  {
    const std::lock_guard lock(mutex_);
    if (inside_.erase(who) != 0)
      moved_ = Clock::now();
    else
      std::erase_if(outside_, [&](const auto &one) { return one.first == who; });
    while (inside_.size() < kAtOnce && !outside_.empty()) {
      inside_.insert(outside_.front().first);
      let.push_back(std::move(outside_.front().second));
      outside_.pop_front();
    }
  }
  for (const Enter &enter : let)
    enter();
}

} // namespace matrixos::proxy
