#include "Waker.h"

#include <algorithm>

namespace matrixos::proxy {

namespace {

/// A page that waits asks every second or every five.
constexpr std::chrono::seconds kNews{10};

} // namespace

void WakeGate::limit(std::size_t perHandle, std::size_t total) noexcept {
  const std::lock_guard lock(mutex_);
  perHandle_ = perHandle;
  total_ = total;
}

WakeGate::Entry WakeGate::enter(const std::string &handle) {
  const std::lock_guard lock(mutex_);
  if (all_ >= total_) return Entry::HouseFull;
  Wake &wake = byHandle_[handle];
  if (wake.waiters == 0) {
    wake.order = ++lastOrder_;
    wake.since = Clock::now();
  }
  if (wake.waiters >= perHandle_) return Entry::InstanceFull;
  ++wake.waiters;
  ++all_;
  return Entry::Entered;
}

void WakeGate::leave(const std::string &handle) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found == byHandle_.end()) return;
  --all_;
  if (--found->second.waiters == 0) byHandle_.erase(found);
}

std::size_t WakeGate::waiting() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

WakeGate::Standing WakeGate::standing(const std::string &handle) const {
  const std::lock_guard lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found == byHandle_.end()) return {byHandle_.size(), {}};
  const auto before = [&](const auto &other) { return other.second.order < found->second.order; };
  return {static_cast<std::size_t>(std::count_if(byHandle_.begin(), byHandle_.end(), before)),
          Clock::now() - found->second.since};
}

bool WakeGate::leaveBehind(const std::string &handle, std::uint64_t ticket) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (ticket == 0 || found == byHandle_.end() || found->second.leftBehind != 0) return false;
  found->second.leftBehind = ticket;
  return true;
}

void WakeGate::noteFailure(const std::string &handle, const WakeResult &failure) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  std::erase_if(failures_, [&](const auto &old) { return now - old.second.second > kNews; });
  failures_.insert_or_assign(handle, std::pair(failure, now));
}

std::optional<WakeResult> WakeGate::takeFailure(const std::string &handle) {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(handle);
  if (found == failures_.end()) return std::nullopt;
  auto [failure, at] = std::move(found->second);
  failures_.erase(found);
  if (Clock::now() - at > kNews) return std::nullopt;
  return std::move(failure);
}

std::vector<std::uint64_t> WakeGate::leftBehind() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> tickets;
  for (const auto &[handle, wake] : byHandle_) {
    if (wake.leftBehind != 0) tickets.push_back(wake.leftBehind);
  }
  return tickets;
}

} // namespace matrixos::proxy
