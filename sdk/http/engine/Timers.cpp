#include "Timers.h"

#include <algorithm>

namespace matrixos::http {

Timer::~Timer() {
  unlink();
}

void Timer::unlink() noexcept {
  if (next_ == nullptr || wheel_ == nullptr) return;
  prev_->next_ = next_;
  next_->prev_ = prev_;
  prev_ = next_ = nullptr;
  --wheel_->count_;
}

TimerWheel::TimerWheel() noexcept {
  // Anchors have no wheel: they are the list heads and never leave.
  for (Anchor &anchor : slots_)
    anchor.prev_ = anchor.next_ = &anchor;
}

void TimerWheel::set(Timer &timer, std::int64_t deadlineMs) noexcept {
  timer.unlink();
  timer.wheel_ = this;
  timer.deadlineMs_ = deadlineMs;
  // A deadline that has passed goes to the next tick, one beyond the wheel's span to where its tick will be.
  const std::int64_t tick = std::max(deadlineMs / kTickMs + 1, tick_ + 1);
  Timer &anchor = slots_[static_cast<std::size_t>(tick) % kSlots];
  timer.prev_ = anchor.prev_;
  timer.next_ = &anchor;
  anchor.prev_->next_ = &timer;
  anchor.prev_ = &timer;
  soonest_ = std::min(soonest_, tick);
  ++count_;
}

void TimerWheel::advance(std::int64_t nowMs) {
  const std::int64_t last = nowMs / kTickMs;
  if (last < soonest_) {
    tick_ = std::max(tick_, last);
    return;
  }
  // After a long pause one turn visits every slot; more would visit them again.
  tick_ = std::max(tick_, last - static_cast<std::int64_t>(kSlots));
  while (tick_ < last) {
    ++tick_;
    Timer &anchor = slots_[static_cast<std::size_t>(tick_) % kSlots];
    if (anchor.next_ == &anchor) continue;
    // The slot's list is moved aside, because a fired timer may set or destroy any other one.
    Anchor due;
    due.next_ = anchor.next_;
    due.prev_ = anchor.prev_;
    due.next_->prev_ = due.prev_->next_ = &due;
    anchor.prev_ = anchor.next_ = &anchor;
    while (due.next_ != &due) {
      Timer &timer = *due.next_;
      if (timer.deadlineMs_ > nowMs) {
        set(timer, timer.deadlineMs_); // a later turn of the wheel
      } else {
        timer.unlink();
        timer.onTimer();
      }
    }
  }
  findSoonest();
}

/// A slot also holds timers of later turns, so this is no later than the soonest of them.
void TimerWheel::findSoonest() noexcept {
  soonest_ = INT64_MAX;
  if (count_ == 0) return;
  for (std::int64_t tick = tick_ + 1; tick <= tick_ + static_cast<std::int64_t>(kSlots); ++tick) {
    const Timer &anchor = slots_[static_cast<std::size_t>(tick) % kSlots];
    if (anchor.next_ == &anchor) continue;
    soonest_ = tick;
    return;
  }
}

} // namespace matrixos::http
