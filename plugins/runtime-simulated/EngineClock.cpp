#include "EngineClock.h"

#include <matrixos/text/time.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace matrixos::simulated {

namespace {

/// How often a caller is asked whether it gave up where no descriptor tells.
constexpr std::chrono::milliseconds kAskAgain{10};
/// An owner of the turn that is stuck in its caller's sink does not stop the time for ever.
constexpr std::chrono::seconds kLongestTurn{10};

Error stopping() {
  return Error(Status::Unavailable, "the simulated engine is stopping", "STOPPING");
}

/// What is left until the deadline, in whole seconds, so that the moments that a caller lost on the way do not show in
/// virtual time.
std::chrono::milliseconds wholeSecondsLeft(const Call &call) {
  if (call.deadlineNanos() == MOS_NO_DEADLINE) return std::chrono::milliseconds::max();
  const std::int64_t left = std::max<std::int64_t>(0, call.deadlineNanos() - monotonicNanos());
  return std::chrono::seconds((left + 999'999'999) / 1'000'000'000);
}

[[noreturn]] void outOfTime() {
  throw Error(Status::DeadlineExceeded, "the operation ran out of time");
}

} // namespace

EngineClock::EngineClock(Mode mode, std::int64_t virtualStartMs)
    : mode_(mode), stopFd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), nowMs_(virtualStartMs) {
  if (stopFd_ < 0) throw Error(Status::ResourceExhausted, "no descriptor for the simulated engine's clock");
}

EngineClock::~EngineClock() {
  ::close(stopFd_);
}

std::int64_t EngineClock::nowMs() const {
  if (mode_ == Mode::Real) return wallClockMs();
  const std::lock_guard lock(mutex_);
  return nowMs_;
}

void EngineClock::sleep(const Call &call, std::chrono::milliseconds time) {
  call.throwIfDone();
  if (mode_ == Mode::Real) return sleepReal(call, time);
  endTurn();
  std::unique_lock lock(mutex_);
  if (stopped_) throw stopping();
  if (paused_) return sleepPaused(call, lock, nowMs_ + time.count());
  const auto left = wholeSecondsLeft(call);
  nowMs_ += std::min(time, left).count();
  if (time > left) outOfTime();
}

void EngineClock::sleepReal(const Call &call, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    auto wait = call.remaining(left);
    if (call.cancelFd() < 0) wait = std::min(wait, kAskAgain);
    std::array<pollfd, 2> fds{{{stopFd_, POLLIN, 0}, {call.cancelFd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), static_cast<int>(std::clamp<std::int64_t>(wait.count(), 1, 60'000)));
    if (fds[0].revents != 0) throw stopping();
    call.throwIfDone();
  }
}

void EngineClock::sleepPaused(const Call &call, std::unique_lock<std::mutex> &lock, std::int64_t until) {
  const Due mine{until, ++arrivals_};
  waiting_.insert(mine);
  changed_.notify_all();
  while (released_ != mine) {
    changed_.wait_for(lock, kAskAgain);
    if (released_ == mine) break;
    mos_error error{};
    const bool over = stopped_ || guarded(&error, [&] { call.throwIfDone(); }) != MOS_OK;
    if (!over) continue;
    waiting_.erase(mine);
    if (stopped_) throw stopping();
    throw toError(error.status, error);
  }
  released_ = {0, 0};
  turnOwner_ = std::this_thread::get_id();
  changed_.notify_all();
}

void EngineClock::hang(const Call &call) {
  if (mode_ == Mode::Virtual && !paused() && call.deadlineNanos() != MOS_NO_DEADLINE) {
    sleep(call, std::chrono::milliseconds::max());
    outOfTime();
  }
  for (;;)
    sleepReal(call, std::chrono::hours{1});
}

void EngineClock::hangForever() {
  std::unique_lock lock(mutex_);
  ++hanging_;
  const std::uint64_t before = releases_;
  changed_.wait(lock, [&] { return releases_ != before; });
  --hanging_;
  throw Error(Status::Unavailable, "the simulated engine hung and was let go", "RELEASED");
}

std::size_t EngineClock::release() {
  const std::lock_guard lock(mutex_);
  ++releases_;
  changed_.notify_all();
  return hanging_;
}

void EngineClock::requireVirtual() const {
  if (mode_ == Mode::Virtual) return;
  throw Error(Status::FailedPrecondition,
              "real time cannot be moved; set [runtime-simulated] clock=virtual to move the engine's own",
              "REAL_CLOCK");
}

void EngineClock::advance(std::chrono::milliseconds time) {
  requireVirtual();
  if (time.count() < 0) throw Error(Status::InvalidArgument, "time only goes forward", "BAD_FIELD");
  const std::lock_guard turn(advancing_);
  std::unique_lock lock(mutex_);
  releaseDue(lock, nowMs_ + time.count());
}

void EngineClock::releaseDue(std::unique_lock<std::mutex> &lock, std::int64_t until) {
  while (!waiting_.empty() && waiting_.begin()->first <= until && !stopped_) {
    const Due next = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    nowMs_ = std::max(nowMs_, next.first);
    released_ = next;
    changed_.notify_all();
    changed_.wait_for(lock, kLongestTurn,
                      [&] { return (released_ != next && turnOwner_ == std::thread::id{}) || stopped_; });
    released_ = {0, 0};
    turnOwner_ = {};
  }
  nowMs_ = std::max(nowMs_, until);
}

void EngineClock::endTurn() noexcept {
  if (mode_ == Mode::Real) return;
  const std::lock_guard lock(mutex_);
  if (turnOwner_ != std::this_thread::get_id()) return;
  turnOwner_ = {};
  changed_.notify_all();
}

void EngineClock::setPaused(bool paused) {
  requireVirtual();
  const std::lock_guard turn(advancing_);
  std::unique_lock lock(mutex_);
  paused_ = paused;
  while (!paused_ && !waiting_.empty() && !stopped_)
    releaseDue(lock, waiting_.rbegin()->first);
}

bool EngineClock::paused() const {
  const std::lock_guard lock(mutex_);
  return paused_;
}

void EngineClock::raise(std::int64_t ms) {
  const std::lock_guard lock(mutex_);
  nowMs_ = std::max(nowMs_, ms);
}

std::size_t EngineClock::sleepers() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

std::size_t EngineClock::hanging() const {
  const std::lock_guard lock(mutex_);
  return hanging_;
}

void EngineClock::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stopFd_, &one, sizeof one);
}

} // namespace matrixos::simulated
