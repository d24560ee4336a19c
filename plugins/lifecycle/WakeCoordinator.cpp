#include "WakeCoordinator.h"

#include <algorithm>
#include <iterator>

namespace matrixos::lifecycle {

namespace {

/// An instance that ends again right after its start is started anew this often, then its callers hear of it.
constexpr unsigned kMaxStarts = 3;
/// So often an engine may start it anew by itself.
constexpr unsigned kMostEnds = 4;

Error notFound(std::string_view handle) {
  return Error(Status::NotFound, "there is no instance \"" + std::string(handle) + "\"", "INSTANCE_NOT_FOUND");
}

Error stopping() {
  return Error(Status::Unavailable, "instances are not woken now: the lifecycle plugin is stopping", "STOPPING");
}

/// The contract of ensure_running knows few failures: what is not "no such instance" is "the start failed".
Error startFailure(const Error &cause) {
  if (cause.status() == Status::NotFound) return cause;
  return Error(Status::Unavailable, cause.what(), cause.reason(), cause.retryAfterMs());
}

/// Nobody can wait for an instance whose program ends again and again.
Error endsAgain(const InstanceRecord &record, unsigned ends) {
  std::string sentence =
      "the instance ended " + std::to_string(ends) + (ends == 1 ? " time" : " times") + " before it answered";
  if (!record.lastError.empty()) sentence += ": " + record.lastError;
  return Error(Status::Unavailable, sentence, "INSTANCE_ENDS");
}

std::int64_t millis(std::int64_t nanos) {
  return std::max<std::int64_t>(0, (nanos + 500'000) / 1'000'000);
}

} // namespace

std::vector<Target> targetsOf(const InstanceRecord &record, std::string_view endpoint) {
  std::vector<Target> found;
  std::copy_if(record.endpoints.begin(), record.endpoints.end(), std::back_inserter(found),
               [&](const Target &target) { return target.name == endpoint; });
  std::stable_partition(found.begin(), found.end(), [](const Target &target) { return target.scope == "bridge"; });
  return found;
}

WakeCoordinator::WakeCoordinator(const Clock &clock, const InstanceIndex &index, Platform &platform, Prober &prober,
                                 Settings settings, Observer observer)
    : clock_(clock), index_(index), platform_(platform), prober_(prober), observer_(std::move(observer)),
      settings_(settings) {}

std::uint64_t WakeCoordinator::ensure(std::string_view handle, std::string_view endpoint, std::int64_t deadlineNanos,
                                      Completion &done) {
  if (endpoint != "shell" && endpoint != "gateway") {
    throw Error(Status::InvalidArgument, "an endpoint is \"shell\" or \"gateway\"", "BAD_ENDPOINT");
  }
  if (deadlineNanos <= clock_.monotonicNanos()) {
    throw Error(Status::DeadlineExceeded, "no time was left to wake the instance");
  }
  std::unique_lock lock(mutex_);
  std::optional<InstanceRecord> fetched;
  std::string json;
  Wake *wake = findOrBegin(handle);
  for (int tries = 0; wake == nullptr; ++tries) {
    // A wake may end between the look-up and the lock: by an old record it would be started once more.
    if (fetched && (tries > 3 || !knowsNewer(*fetched))) {
      if (fetched->gone()) throw notFound(handle);
      wake = &begin(*std::move(fetched), std::move(json));
      break;
    }
    lock.unlock();
    json = platform_.fetch(handle);
    fetched = InstanceRecord::parse(json);
    lock.lock();
    wake = findOrBegin(handle);
  }
  requireRoom();
  const std::uint64_t ticket = addWaiter(*wake, handle, endpoint, deadlineNanos, done);
  if (!std::exchange(wake->startDue, false)) return ticket;
  const std::uint64_t id = wake->id;
  lock.unlock();
  startEngine(std::string(handle), id);
  lock.lock();
  return waiters_.count(ticket) != 0 ? ticket : 0;
}

/// The wake under way, or one that begins because the watch says that the instance does not run. Null: the orchestrator
/// has to be asked.
WakeCoordinator::Wake *WakeCoordinator::findOrBegin(std::string_view handle) {
  if (shutDown_) throw stopping();
  if (const auto found = wakes_.find(handle); found != wakes_.end()) return &found->second;
  const auto known = index_.find(handle);
  if (!known) return nullptr;
  InstanceRecord record;
  record.handle = handle;
  record.rev = known->rev;
  record.status = known->status;
  return record.running() || record.gone() || knowsNewer(record) ? nullptr : &begin(std::move(record), {});
}

WakeCoordinator::Wake &WakeCoordinator::begin(InstanceRecord record, std::string json) {
  requireRoom();
  Wake &wake = wakes_[record.handle];
  wake.id = ++lastId_;
  wake.askedNanos = clock_.monotonicNanos();
  if (record.running()) {
    wake.stage = Stage::Probing;
    wake.runningNanos = wake.askedNanos;
    if (!record.endpoints.empty()) wake.epoch = record.endpoints.front().epoch;
  } else {
    wake.starts = 1;
    wake.startDue = true;
  }
  wake.record = std::move(record);
  wake.json = std::move(json);
  return wake;
}

void WakeCoordinator::requireRoom() const {
  if (waiters_.size() < settings_.maxWaiters) return;
  throw Error(Status::ResourceExhausted, "too many requests wait for instances to wake", "TOO_MANY_WAITERS", 1000);
}

void WakeCoordinator::startEngine(const std::string &handle, std::uint64_t wakeId) {
  platform_.start(handle, [weak = weak_from_this(), handle, wakeId](const Outcome &outcome) {
    if (outcome.status == Status::Ok) return; // the watch brings the record
    if (const auto self = weak.lock()) self->startFailed(handle, wakeId, *outcome.error);
  });
}

void WakeCoordinator::startFailed(const std::string &handle, std::uint64_t wakeId, const Error &cause) {
  Deliveries out;
  {
    const std::lock_guard lock(mutex_);
    const auto found = wakes_.find(handle);
    if (found == wakes_.end() || found->second.id != wakeId || found->second.stage != Stage::Starting) return;
    failAll(found, startFailure(cause), out);
  }
  observer_(Event::StartFailed, {});
  deliver(std::move(out));
}

void WakeCoordinator::answered(const std::string &handle, std::uint64_t wakeId, const std::string &endpoint,
                               std::uint64_t probeId) {
  Deliveries out;
  std::string json;
  WakePhases took;
  bool report = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = wakes_.find(handle);
    if (found == wakes_.end() || found->second.id != wakeId) return;
    Wake &wake = found->second;
    const auto slot = wake.slots.find(endpoint);
    if (slot == wake.slots.end() || slot->second.probeId != probeId) return;
    slot->second.probeId = 0; // it ended by itself

    took = phases(wake);
    json = WakeAnswer{wake.json, 0, took}.toJson();
    report = wake.starts != 0 && !std::exchange(wake.reported, true);
    const std::set<std::uint64_t> tickets = slot->second.tickets; // the slot goes with its last waiter
    for (const std::uint64_t ticket : tickets)
      out.push_back({takeWaiter(wake, ticket), std::nullopt});
    if (wake.slots.empty()) wakes_.erase(found);
  }
  if (report) observer_(Event::Woken, took);
  deliver(std::move(out), json);
}

void WakeCoordinator::forget(std::uint64_t ticket) {
  Deliveries out;
  {
    const std::lock_guard lock(mutex_);
    const auto waiter = waiters_.find(ticket);
    if (waiter == waiters_.end()) return;
    const auto wake = wakes_.find(waiter->second.handle);
    out.push_back({takeWaiter(wake->second, ticket), Error(Status::Cancelled, "the caller no longer waits")});
    // A start under way is carried on; the next caller joins it.
    if (wake->second.slots.empty() && wake->second.stage == Stage::Probing) wakes_.erase(wake);
  }
  deliver(std::move(out));
}

void WakeCoordinator::changed(const InstanceRecord &record, std::string_view json) {
  Deliveries out;
  std::uint64_t startWake = 0;
  bool failed = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = wakes_.find(record.handle);
    if (found == wakes_.end() || record.rev <= found->second.record.rev) return;
    Wake &wake = found->second;
    wake.record = record;
    wake.json = json;
    if (record.gone()) {
      failAll(found, notFound(record.handle), out);
    } else if (wake.stage == Stage::Starting) {
      if (record.phase == InstancePhase::Starting && wake.engineNanos == 0) {
        wake.engineNanos = clock_.monotonicNanos();
      } else if (record.running()) {
        beganAnew(wake);
        wake.stage = Stage::Probing;
        wake.runningNanos = clock_.monotonicNanos();
        if (wake.slots.empty())
          wakes_.erase(found); // nobody waits any more
        else
          probeAll(wake);
      }
    } else if (record.running()) {
      if (beganAnew(wake) && ++wake.ends >= kMostEnds) {
        failed = true;
        failAll(found, endsAgain(record, wake.ends), out);
      } else {
        probeAll(wake);
      }
    } else if (record.status == InstanceStatus::Failed) {
      failed = true;
      failAll(found, Error(Status::Unavailable, "the instance failed: " + record.lastError, "INSTANCE_FAILED"), out);
    } else if (record.status == InstanceStatus::Stopped || record.status == InstanceStatus::Sleeping) {
      ++wake.ends;
      if (restart(wake)) {
        startWake = wake.id;
      } else {
        failed = true;
        failAll(found, endsAgain(record, wake.ends), out);
      }
    }
  }
  if (failed) observer_(Event::StartFailed, {});
  if (startWake != 0) startEngine(record.handle, startWake);
  deliver(std::move(out));
}

std::int64_t WakeCoordinator::expire() {
  const std::int64_t now = clock_.monotonicNanos();
  Deliveries out;
  std::int64_t next = MOS_NO_DEADLINE;
  {
    const std::lock_guard lock(mutex_);
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      const std::uint64_t ticket = deadlines_.begin()->second;
      const Waiter &waiter = waiters_.at(ticket);
      const auto wake = wakes_.find(waiter.handle);
      const bool started = wake->second.stage == Stage::Probing;
      Error error(Status::DeadlineExceeded,
                  started ? "the instance runs, but its " + waiter.endpoint + " gave no HTTP answer in time"
                          : "the instance did not start in time",
                  started ? "NOT_READY" : "NOT_STARTED");
      out.push_back({takeWaiter(wake->second, ticket), std::move(error)});
      if (wake->second.slots.empty() && started) wakes_.erase(wake);
    }
    if (!deadlines_.empty()) next = deadlines_.begin()->first;
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    observer_(Event::WaiterExpired, {});
  deliver(std::move(out));
  return next;
}

void WakeCoordinator::shutdown() {
  Deliveries out;
  {
    const std::lock_guard lock(mutex_);
    shutDown_ = true;
    while (!wakes_.empty())
      failAll(wakes_.begin(), stopping(), out);
  }
  deliver(std::move(out));
}

void WakeCoordinator::configure(Settings settings) {
  const std::lock_guard lock(mutex_);
  settings_ = settings;
}

std::size_t WakeCoordinator::waiters() const {
  const std::lock_guard lock(mutex_);
  return waiters_.size();
}

bool WakeCoordinator::knowsNewer(const InstanceRecord &record) const {
  const auto watched = index_.find(record.handle);
  return watched && watched->rev > record.rev;
}

std::uint64_t WakeCoordinator::addWaiter(Wake &wake, std::string_view handle, std::string_view endpoint,
                                         std::int64_t deadlineNanos, Completion &done) {
  const std::uint64_t ticket = ++lastId_;
  const auto slot = wake.slots.try_emplace(std::string(endpoint)).first;
  slot->second.tickets.insert(ticket);
  const auto waiter =
      waiters_.emplace(ticket, Waiter{std::string(handle), slot->first, MOS_NO_DEADLINE, Completion(mos_completion{})});
  setDeadline(ticket, deadlineNanos);
  if (wake.stage == Stage::Probing) {
    probe(wake, slot->first, slot->second);
    if (slot->second.readyByNanos < deadlineNanos) setDeadline(ticket, slot->second.readyByNanos);
  }
  waiter.first->second.done = std::move(done);
  return ticket;
}

Completion WakeCoordinator::takeWaiter(Wake &wake, std::uint64_t ticket) {
  const auto waiter = waiters_.find(ticket);
  Completion done = std::move(waiter->second.done);
  deadlines_.erase({waiter->second.deadlineNanos, ticket});
  const auto slot = wake.slots.find(waiter->second.endpoint);
  slot->second.tickets.erase(ticket);
  if (slot->second.tickets.empty()) {
    cancelProbe(slot->second);
    wake.slots.erase(slot);
  }
  waiters_.erase(waiter);
  return done;
}

void WakeCoordinator::setDeadline(std::uint64_t ticket, std::int64_t deadlineNanos) {
  Waiter &waiter = waiters_.at(ticket);
  deadlines_.erase({waiter.deadlineNanos, ticket});
  waiter.deadlineNanos = deadlineNanos;
  if (deadlineNanos == MOS_NO_DEADLINE) return;
  const auto added = deadlines_.emplace(deadlineNanos, ticket).first;
  if (added == deadlines_.begin()) prober_.nudge();
}

void WakeCoordinator::probeAll(Wake &wake) {
  for (auto &[endpoint, slot] : wake.slots) {
    const bool first = slot.readyByNanos == MOS_NO_DEADLINE;
    probe(wake, endpoint, slot);
    if (!first) continue;
    for (const std::uint64_t ticket : slot.tickets) {
      if (slot.readyByNanos < waiters_.at(ticket).deadlineNanos) setDeadline(ticket, slot.readyByNanos);
    }
  }
}

void WakeCoordinator::probe(Wake &wake, const std::string &endpoint, Slot &slot) {
  if (slot.readyByNanos == MOS_NO_DEADLINE) {
    const auto timeout = std::chrono::duration_cast<std::chrono::nanoseconds>(settings_.readyTimeout).count();
    slot.readyByNanos = clock_.monotonicNanos() + timeout;
  }
  std::vector<Target> targets = targetsOf(wake.record, endpoint);
  if (slot.probeId != 0 && targets == slot.targets) return;
  cancelProbe(slot);
  slot.targets = std::move(targets);
  if (slot.targets.empty()) return; // a later record will bring them
  slot.probeId = ++lastId_;
  prober_.begin(slot.probeId, slot.targets,
                [weak = weak_from_this(), handle = wake.record.handle, wakeId = wake.id, endpoint,
                 id = slot.probeId](const Target &) {
                  if (const auto self = weak.lock()) self->answered(handle, wakeId, endpoint, id);
                });
}

void WakeCoordinator::cancelProbe(Slot &slot) {
  if (slot.probeId != 0) prober_.cancel(slot.probeId);
  slot.probeId = 0;
}

void WakeCoordinator::failAll(Wakes::iterator found, const Error &error, Deliveries &out) {
  Wake &wake = found->second;
  while (!wake.slots.empty())
    out.push_back({takeWaiter(wake, *wake.slots.begin()->second.tickets.begin()), error});
  wakes_.erase(found);
}

bool WakeCoordinator::restart(Wake &wake) {
  if (wake.starts >= kMaxStarts) return false;
  for (auto &[endpoint, slot] : wake.slots) {
    cancelProbe(slot);
    slot.readyByNanos = MOS_NO_DEADLINE;
  }
  wake.stage = Stage::Starting;
  wake.id = ++lastId_;
  ++wake.starts;
  wake.engineNanos = wake.runningNanos = 0;
  return true;
}

/// Its addresses are those of another run than before: the engine has started it by itself.
bool WakeCoordinator::beganAnew(Wake &wake) {
  if (wake.record.endpoints.empty()) return false;
  const std::string before = std::exchange(wake.epoch, wake.record.endpoints.front().epoch);
  return !before.empty() && before != wake.epoch;
}

WakePhases WakeCoordinator::phases(const Wake &wake) const {
  const std::int64_t engine = wake.engineNanos != 0 ? wake.engineNanos : wake.askedNanos;
  return {millis(engine - wake.askedNanos), millis(wake.runningNanos - engine),
          millis(clock_.monotonicNanos() - wake.runningNanos)};
}

void WakeCoordinator::deliver(Deliveries &&deliveries, std::string_view json) {
  for (Delivery &delivery : deliveries) {
    if (delivery.error)
      delivery.done.fail(*delivery.error);
    else
      delivery.done.succeed(json);
  }
}

} // namespace matrixos::lifecycle
