#include "OperationQueue.h"

#include <algorithm>
#include <utility>

namespace matrixos::orchestrator {

namespace {

constexpr std::chrono::milliseconds kPumpRetry{200};

Error stopping() {
  return Error(Status::Unavailable, "the platform is stopping; try again in a moment", "STOPPING", 5000);
}

} // namespace

/// Counts a task of the executor, from before it is submitted until it has run or was dropped unrun.
class OperationQueue::Pump {
public:
  explicit Pump(OperationQueue &queue) : queue_(queue) {}
  Pump(const Pump &) = delete;
  Pump &operator=(const Pump &) = delete;
  ~Pump() {
    if (counted_) queue_.pumpEnded();
  }
  /// Already subtracted: together with the look at the empty queue, so that work that comes then gets a new pump.
  void uncount() noexcept { counted_ = false; }

private:
  OperationQueue &queue_;
  bool counted_ = true;
};

void OperationQueue::submit(const OperationPtr &operation, Done done, std::int64_t deadlineNanos) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) throw stopping();
    const auto found = lanes_.find(operation->handle());
    if (found != lanes_.end() && found->second.back().operation->serves(*operation)) {
      Lane &lane = found->second;
      if (!std::exchange(lane.back().wanted, true)) {
        ++wanted_;
        if (lane.front().ready) makeReady(lane);
      }
      addWaiter(lane.back(), std::move(done), deadlineNanos);
      return;
    }
    const bool laneFull = found != lanes_.end() && found->second.size() >= kMaxPerLane;
    if (laneFull || wanted_ >= static_cast<std::size_t>(settings_.get()->queueLimit)) {
      throw Error(Status::ResourceExhausted,
                  laneFull ? "too many operations wait for this instance" : "too many operations wait for the engine",
                  "QUEUE_FULL", 1000);
    }
    enqueue(operation, true);
    if (done) addWaiter(lanes_.at(operation->handle()).back(), std::move(done), deadlineNanos);
  }
  pump();
}

bool OperationQueue::submitIfIdle(const OperationPtr &operation) noexcept {
  return guarded(nullptr, [&] {
           {
             const std::lock_guard lock(mutex_);
             if (closed_ || lanes_.count(operation->handle()) != 0) return MOS_ABORTED;
             enqueue(operation, false);
           }
           pump();
           return MOS_OK;
         }) == MOS_OK;
}

void OperationQueue::submitAfter(const OperationPtr &operation) noexcept {
  static_cast<void>(guarded(nullptr, [&] {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      if (lanes_.count(operation->handle()) != 0) {
        // Not into the lane: whoever asks for what runs there has to find it at the end, to share it.
        afterwards_[operation->handle()] = operation;
        return;
      }
      enqueue(operation, false);
    }
    pump();
  }));
}

void OperationQueue::enqueue(const OperationPtr &operation, bool wanted) {
  Lane &lane = lanes_[operation->handle()];
  lane.push_back({});
  lane.back().operation = operation;
  lane.back().wanted = wanted;
  telemetry_.queued(++size_);
  if (wanted) ++wanted_;
  if (lane.size() == 1 || lane.front().ready) makeReady(lane);
}

/// The front operation may run. It counts as wanted when anything behind it is.
void OperationQueue::makeReady(Lane &lane) {
  const bool wanted = std::any_of(lane.begin(), lane.end(), [](const Entry &entry) { return entry.wanted; });
  lane.front().ready = true;
  (wanted ? wantedReady_ : otherReady_).push_back(lane.front().operation->handle());
}

/// The next one to run, or null. A handle can stand in the lists more often than it is ready.
OperationQueue::Entry *OperationQueue::takeReady() {
  while (!wantedReady_.empty() || !otherReady_.empty()) {
    auto &list = wantedReady_.empty() ? otherReady_ : wantedReady_;
    const auto lane = lanes_.find(list.front());
    list.pop_front();
    if (lane == lanes_.end() || !std::exchange(lane->second.front().ready, false)) continue;
    return &lane->second.front();
  }
  return nullptr;
}

void OperationQueue::addWaiter(Entry &entry, Done done, std::int64_t deadlineNanos) {
  const std::uint64_t id = nextWaiter_++;
  entry.waiters.push_back({id, std::move(done), entry.waiters.empty()});
  if (deadlineNanos == MOS_NO_DEADLINE) return;
  const auto when = Strand::Clock::time_point(std::chrono::nanoseconds(deadlineNanos)); // libstdc++: CLOCK_MONOTONIC
  strand_.postAt(when, [this, handle = entry.operation->handle(), id] { expire(handle, id); });
}

void OperationQueue::expire(const std::string &handle, std::uint64_t waiter) {
  std::list<Waiter> late;
  {
    const std::lock_guard lock(mutex_);
    const auto found = lanes_.find(handle);
    if (found == lanes_.end()) return;
    for (Entry &entry : found->second) {
      for (auto at = entry.waiters.begin(); at != entry.waiters.end(); ++at) {
        if (at->id != waiter) continue;
        late.splice(late.end(), entry.waiters, at);
        break;
      }
    }
  }
  Result result;
  result.error = Error(Status::DeadlineExceeded, "the operation takes longer than the caller waits; it goes on");
  answer(late, result);
}

void OperationQueue::pump() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (pumps_ >= static_cast<std::size_t>(settings_.get()->concurrency) || pumps_ >= size_) return;
      if (wantedReady_.empty() && otherReady_.empty()) return;
      ++pumps_;
    }
    const auto ticket = std::make_shared<Pump>(*this);
    try {
      executor_.submit([this, ticket] { runLoop(ticket); });
    } catch (const Error &e) {
      // The executor is full of others' work, or the plugin is stopping; what is ready stays ready.
      telemetry_.log().warning("the executor took no work", {{"error", e.what()}});
      strand_.postAt(Strand::Clock::now() + kPumpRetry, [this] { pump(); });
      return;
    }
  }
}

void OperationQueue::pumpEnded() {
  // Notified under the lock: whoever waits may destroy the queue as soon as the lock is free.
  const std::lock_guard lock(mutex_);
  --pumps_;
  idle_.notify_all();
}

void OperationQueue::runLoop(const std::shared_ptr<Pump> &pump) {
  while (runNext(*pump)) {
  }
}

bool OperationQueue::runNext(Pump &pump) {
  OperationPtr operation;
  {
    const std::lock_guard lock(mutex_);
    Entry *entry = pumps_ > static_cast<std::size_t>(settings_.get()->concurrency) ? nullptr : takeReady();
    if (entry == nullptr) {
      pump.uncount();
      --pumps_;
      idle_.notify_all();
      return false;
    }
    entry->running = true;
    operation = entry->operation;
  }
  auto state = Operation::State::Finished;
  mos_error failure{};
  const mos_status status = guarded(&failure, [&] { state = operation->advance(); });
  if (status != MOS_OK) operation->result.error = toError(status, failure);
  settle(operation, state);
  return true;
}

void OperationQueue::settle(const OperationPtr &operation, Operation::State state) {
  Entry ended;
  {
    const std::lock_guard lock(mutex_);
    Lane &lane = lanes_.at(operation->handle());
    Entry &entry = lane.front();
    entry.running = false;
    if (state == Operation::State::Parked && !closed_) {
      const bool unwanted = std::any_of(lane.begin() + 1, lane.end(), [](const Entry &next) {
        return next.operation->kind() == Operation::Kind::Destroy;
      });
      if (unwanted) {
        operation->abandon();
        entry.resumed = true;
      }
      if (!std::exchange(entry.resumed, false)) {
        entry.parked = true;
        return;
      }
      makeReady(lane);
      return;
    }
    if (state == Operation::State::Parked) operation->result.error = stopping();
    ended = std::move(entry);
    lane.pop_front();
    telemetry_.queued(--size_);
    if (ended.wanted) --wanted_;
    if (!lane.empty()) {
      makeReady(lane);
    } else {
      lanes_.erase(operation->handle());
      if (const auto next = afterwards_.extract(operation->handle())) enqueue(next.mapped(), false);
    }
  }
  finish(std::move(ended));
}

void OperationQueue::finish(Entry entry) {
  const Result &result = entry.operation->result;
  telemetry_.operationEnded(entry.operation->kindName(), result.error ? "failed" : "ok",
                            Strand::Clock::now() - entry.since);
  answer(entry.waiters, result);
}

void OperationQueue::answer(const std::list<Waiter> &waiters, const Result &result) {
  Result joined = result;
  joined.created = false;
  for (const Waiter &waiter : waiters) {
    // One caller's failure to take its answer is not the others'.
    static_cast<void>(guarded(nullptr, [&] { waiter.done(waiter.first ? result : joined); }));
  }
}

void OperationQueue::resume(const OperationPtr &operation) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = lanes_.find(operation->handle());
    if (found == lanes_.end() || found->second.front().operation != operation) return;
    Entry &entry = found->second.front();
    if (entry.running) {
      entry.resumed = true;
      return;
    }
    if (!std::exchange(entry.parked, false)) return;
    makeReady(found->second);
  }
  pump();
}

void OperationQueue::abandonParked(const std::string &handle) {
  OperationPtr parked;
  {
    const std::lock_guard lock(mutex_);
    const auto found = lanes_.find(handle);
    if (found == lanes_.end() || !found->second.front().parked) return;
    parked = found->second.front().operation;
  }
  parked->abandon();
  resume(parked);
}

bool OperationQueue::isQueued(const std::string &handle, Operation::Kind kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = lanes_.find(handle);
  if (found == lanes_.end()) return false;
  for (auto entry = found->second.begin() + 1; entry != found->second.end(); ++entry) {
    if (entry->operation->kind() == kind) return true;
  }
  return false;
}

bool OperationQueue::isIdle(const std::string &handle) const {
  const std::lock_guard lock(mutex_);
  return lanes_.count(handle) == 0;
}

std::size_t OperationQueue::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

void OperationQueue::close() {
  std::list<Waiter> given;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wantedReady_.clear();
    otherReady_.clear();
    afterwards_.clear();
    for (auto lane = lanes_.begin(); lane != lanes_.end();) {
      Lane &entries = lane->second;
      while (!entries.empty() && !entries.back().running) {
        given.splice(given.end(), entries.back().waiters);
        if (entries.back().wanted) --wanted_;
        entries.pop_back();
        --size_;
      }
      lane = entries.empty() ? lanes_.erase(lane) : std::next(lane);
    }
  }
  Result result;
  result.error = stopping();
  answer(given, result);
}

bool OperationQueue::waitIdle(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [this] { return pumps_ == 0; });
}

} // namespace matrixos::orchestrator
