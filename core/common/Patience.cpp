#include "common/Patience.h"

#include <algorithm>
#include <thread>

namespace matrixos::common {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirst{250};
constexpr std::chrono::milliseconds kLongest{4000};
constexpr std::chrono::milliseconds kGlance{50}; // between two looks at whether to stop

} // namespace

bool mayPass(Status cause) noexcept {
  return cause == Status::Unavailable || cause == Status::AlreadyExists || cause == Status::ResourceExhausted ||
         cause == Status::DeadlineExceeded;
}

Patience::Patience(std::chrono::milliseconds limit) : end_(Clock::now() + limit), pause_(kFirst) {}

bool Patience::wait(const std::function<bool()> &stop) {
  if (Clock::now() >= end_) return false;
  const auto until = std::min(Clock::now() + pause_, end_);
  pause_ = std::min(pause_ * 2, kLongest);
  while (!stop()) {
    const auto left = until - Clock::now();
    if (left.count() <= 0) return true;
    std::this_thread::sleep_for(std::min<Clock::duration>(left, kGlance));
  }
  return false;
}

} // namespace matrixos::common
