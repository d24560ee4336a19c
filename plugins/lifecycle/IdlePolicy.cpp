#include "IdlePolicy.h"

#include <algorithm>
#include <utility>

namespace matrixos::lifecycle {

namespace {

/// Keeps an instance held while the decision about it is made, unless the stop takes the hold over.
class Hold {
public:
  Hold(ActivityLedger &ledger, const std::string &handle) : ledger_(&ledger), handle_(handle) {
    ledger_->hold(handle_);
  }
  Hold(const Hold &) = delete;
  Hold &operator=(const Hold &) = delete;
  ~Hold() {
    if (ledger_ != nullptr) ledger_->release(handle_);
  }
  void passOn() noexcept { ledger_ = nullptr; }

private:
  ActivityLedger *ledger_;
  const std::string &handle_;
};

} // namespace

IdlePolicy::IdlePolicy(const Clock &clock, const InstanceIndex &index, ActivityLedger &ledger, Platform &platform,
                       Settings settings, Observer observer)
    : clock_(clock), index_(index), ledger_(ledger), platform_(platform), observer_(std::move(observer)),
      startedBootMs_(clock.bootMs()), settings_(settings), checkedBootMs_(startedBootMs_) {}

void IdlePolicy::configure(Settings settings) {
  const std::lock_guard lock(mutex_);
  settings_ = settings;
}

IdlePolicy::Settings IdlePolicy::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

std::chrono::milliseconds IdlePolicy::idleFor(std::string_view handle) const {
  // Never seen means not used since this process began to look.
  const auto known = ledger_.lastSeen(handle, settings().silentStream.count());
  const std::int64_t seen = std::max(startedBootMs_, known.value_or(startedBootMs_));
  return std::chrono::milliseconds{std::max<std::int64_t>(0, clock_.bootMs() - seen)};
}

bool IdlePolicy::isIdle(std::string_view handle, std::chrono::milliseconds timeout) const {
  return index_.runs(handle) && idleFor(handle) > timeout;
}

std::deque<std::string> IdlePolicy::findIdle(std::int64_t seenBeforeBootMs, std::chrono::milliseconds silentStream) {
  std::deque<std::string> idle;
  for (std::string &handle : ledger_.seenBefore(seenBeforeBootMs, silentStream.count())) {
    if (index_.runs(handle))
      idle.push_back(std::move(handle));
    else
      ledger_.forget(handle, seenBeforeBootMs); // its time begins anew when it runs again
  }
  return idle;
}

void IdlePolicy::tick() {
  const std::int64_t now = clock_.bootMs();
  bool check = false;
  Settings settings;
  {
    const std::lock_guard lock(mutex_);
    settings = settings_;
    if (settings.idleTimeout.count() == 0) return queue_.clear();
    check = now - checkedBootMs_ >= settings.checkInterval.count();
    if (check) checkedBootMs_ = now;
    pushedBack_ = false;
  }
  if (check) {
    std::deque<std::string> idle = findIdle(now - settings.idleTimeout.count(), settings.silentStream);
    const std::lock_guard lock(mutex_);
    queue_ = std::move(idle);
  }
  for (;;) {
    std::string handle;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty() || inFlight_ >= settings.maxStops || pushedBack_) return;
      handle = std::move(queue_.front());
      queue_.pop_front();
    }
    tryStop(handle, settings.idleTimeout);
  }
}

void IdlePolicy::tryStop(const std::string &handle, std::chrono::milliseconds timeout) {
  Hold hold(ledger_, handle);
  // Whatever was noted before the hold makes the instance look used below; it has to be passed on all the same.
  std::uint64_t seq = 0;
  try {
    if (auto use = ledger_.take(handle)) platform_.record({*std::move(use)});
    const auto record = InstanceRecord::parse(platform_.fetch(handle));
    if (!record.running()) return;
    seq = record.activitySeq;
  } catch (const Error &error) {
    if (error.status() != Status::NotFound) observer_(handle, Result::Failed, &error);
    return;
  }
  // The order matters: first the sequence, then the ledger. A use noted after this look is passed on at once, moves
  // the sequence on, and the stop is refused.
  if (!isIdle(handle, timeout)) return;
  {
    const std::lock_guard lock(mutex_);
    ++inFlight_;
  }
  hold.passOn();
  platform_.stop(handle, seq, [weak = weak_from_this(), handle](const Outcome &outcome) {
    if (const auto self = weak.lock()) self->stopped(handle, outcome);
  });
}

void IdlePolicy::stopped(const std::string &handle, const Outcome &outcome) {
  ledger_.release(handle);
  {
    const std::lock_guard lock(mutex_);
    --inFlight_;
    if (outcome.status == Status::ResourceExhausted) {
      // The orchestrator has enough to do: the rest waits for the next tick.
      queue_.push_front(handle);
      pushedBack_ = true;
      return;
    }
  }
  if (outcome.status == Status::Ok) return observer_(handle, Result::Stopped, nullptr);
  if (outcome.status == Status::Aborted) return observer_(handle, Result::Used, nullptr);
  if (outcome.status != Status::NotFound) observer_(handle, Result::Failed, outcome.error);
}

} // namespace matrixos::lifecycle
