#include "ReadinessProbe.h"

#include <matrixos/call.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>

namespace matrixos::lifecycle {

namespace {

constexpr std::uint64_t kWakeKey = 0; // probes have ids from 1

std::int64_t nanos(std::chrono::milliseconds time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

} // namespace

ReadinessProbe::ReadinessProbe(Settings settings)
    : settings_(settings), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeKey;
  if (epoll_ < 0 || wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    const int error = errno;
    if (epoll_ >= 0) ::close(epoll_);
    if (wake_ >= 0) ::close(wake_);
    throw std::system_error(error, std::generic_category(), "the readiness probe gets no descriptors");
  }
}

ReadinessProbe::~ReadinessProbe() {
  stop();
  ::close(wake_);
  ::close(epoll_);
}

void ReadinessProbe::run(Tick tick) {
  tick_ = std::move(tick);
  thread_ = std::thread([this] { loop(); });
}

void ReadinessProbe::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  nudge();
  if (thread_.joinable()) thread_.join();
}

void ReadinessProbe::nudge() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one); // full means it is awake anyway
}

void ReadinessProbe::post(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  nudge();
}

void ReadinessProbe::begin(std::uint64_t id, std::vector<Target> targets, Ready ready) {
  auto probe = std::make_shared<std::unique_ptr<Probe>>(std::make_unique<Probe>());
  (*probe)->targets = std::move(targets);
  (*probe)->ready = std::move(ready);
  (*probe)->pause = settings_.minPause;
  (*probe)->timeout = settings_.minTimeout;
  post([this, id, probe] { add(id, std::move(*probe)); });
}

void ReadinessProbe::loop() {
  std::array<epoll_event, 64> events;
  for (;;) {
    runCommands();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    runDue(monotonicNanos());
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), waitMillis(tick_()));
    for (int i = 0; i < count; ++i) {
      const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
      if (id != kWakeKey) {
        onSocket(id);
        continue;
      }
      std::uint64_t drained = 0;
      [[maybe_unused]] const auto got = ::read(wake_, &drained, sizeof drained);
    }
  }
  probes_.clear();
  due_.clear();
}

void ReadinessProbe::runCommands() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mutex_);
    commands.swap(commands_);
  }
  for (const Command &command : commands)
    command();
}

int ReadinessProbe::waitMillis(std::int64_t tickNanos) const {
  const std::int64_t until = due_.empty() ? tickNanos : std::min(tickNanos, due_.begin()->first);
  if (until == MOS_NO_DEADLINE) return -1;
  const std::int64_t left = until - monotonicNanos();
  if (left <= 0) return 0;
  // Rounded up, so that the time has come when the wait ends.
  return static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, std::numeric_limits<int>::max()));
}

void ReadinessProbe::runDue(std::int64_t now) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const std::uint64_t id = due_.begin()->second;
    Probe &probe = *probes_.at(id);
    setDue(id, probe, 0);
    if (probe.attempt.fd() < 0) {
      tryNext(id, probe);
    } else if (!probe.attempt.connected() || now >= probe.attemptEndNanos) {
      probe.sawSilence = probe.sawSilence || probe.attempt.connected();
      attemptFailed(id, probe);
    } else {
      setDue(id, probe, probe.attemptEndNanos);
    }
  }
}

void ReadinessProbe::add(std::uint64_t id, std::unique_ptr<Probe> probe) {
  if (probe->targets.empty()) return;
  Probe &added = *probe;
  probes_[id] = std::move(probe);
  tryNext(id, added);
}

void ReadinessProbe::remove(std::uint64_t id) {
  const auto found = probes_.find(id);
  if (found == probes_.end()) return;
  setDue(id, *found->second, 0);
  probes_.erase(found); // closing the socket takes it out of epoll
}

void ReadinessProbe::setDue(std::uint64_t id, Probe &probe, std::int64_t at) {
  if (probe.dueNanos != 0) due_.erase({probe.dueNanos, id});
  probe.dueNanos = at;
  if (at != 0) due_.emplace(at, id);
}

void ReadinessProbe::tryNext(std::uint64_t id, Probe &probe) {
  attempts_.fetch_add(1, std::memory_order_relaxed);
  if (probe.attempt.open(probe.targets[probe.next]) == ProbeAttempt::Progress::Failed) {
    return attemptFailed(id, probe);
  }
  watchSocket(id, probe, EPOLL_CTL_ADD);
  const std::int64_t now = monotonicNanos();
  probe.attemptEndNanos = now + nanos(probe.timeout);
  // A peer on this machine connects at once or not at all: do not let a black hole eat the time of the next target.
  setDue(id, probe, now + nanos(probe.timeout) / 4);
}

void ReadinessProbe::attemptFailed(std::uint64_t id, Probe &probe) {
  probe.attempt.close();
  probe.next = (probe.next + 1) % probe.targets.size();
  std::int64_t wait = 1; // the next target at once, but through the loop: no recursion
  if (probe.next == 0) {
    wait = nanos(probe.pause);
    probe.pause = std::min(probe.pause * 2, settings_.maxPause);
    if (probe.sawSilence) probe.timeout = std::min(probe.timeout * 2, settings_.maxTimeout);
    probe.sawSilence = false;
  }
  setDue(id, probe, monotonicNanos() + wait);
}

void ReadinessProbe::onSocket(std::uint64_t id) {
  const auto found = probes_.find(id);
  if (found == probes_.end()) return;
  Probe &probe = *found->second;
  const bool wrote = probe.attempt.wantsWrite();
  switch (probe.attempt.advance()) {
  case ProbeAttempt::Progress::Ready:
    return finish(id, probe);
  case ProbeAttempt::Progress::Failed:
    return attemptFailed(id, probe);
  case ProbeAttempt::Progress::Pending:
    if (wrote && !probe.attempt.wantsWrite()) watchSocket(id, probe, EPOLL_CTL_MOD);
  }
}

void ReadinessProbe::watchSocket(std::uint64_t id, const Probe &probe, int operation) {
  epoll_event event{};
  event.events = probe.attempt.wantsWrite() ? EPOLLOUT : EPOLLIN;
  event.data.u64 = id;
  ::epoll_ctl(epoll_, operation, probe.attempt.fd(), &event); // if it fails, the attempt ends by its timeout
}

void ReadinessProbe::finish(std::uint64_t id, Probe &probe) {
  const Ready ready = std::move(probe.ready);
  const Target target = probe.targets[probe.next];
  remove(id);
  ready(target);
}

} // namespace matrixos::lifecycle
