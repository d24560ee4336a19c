#include "http/Dispatcher.h"

#include <matrixos/status.hpp>

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

namespace matrixos::api {

namespace {

/// How long a worker without work stays.
constexpr std::chrono::seconds kLinger{2};

} // namespace

Dispatcher::Dispatcher(const Options &options) : options_(options) {
  if (options.workers < 1 || options.reserve < 0 || options.backlog < 0) {
    throw Error(Status::InvalidArgument, "the API needs at least one worker");
  }
}

bool Dispatcher::mayTakePlace(OwnerId owner) const {
  if (owner == common::kCoreOwner) return true;
  if (options_.reserve > 0 && ownersPlaces_ >= static_cast<std::size_t>(options_.workers)) return false;
  if (options_.perOwner <= 0) return true;
  const auto entry = places_.find(owner);
  return entry == places_.end() || entry->second < static_cast<std::size_t>(options_.perOwner);
}

Dispatcher::Outcome Dispatcher::submit(Ticket ticket, OwnerId owner, std::function<void()> run) {
  std::unique_lock lock(mutex_);
  if (stopping_ || open_ >= static_cast<std::size_t>(options_.workers + options_.backlog)) return Outcome::Full;
  const bool placed = mayTakePlace(owner);
  // Somebody has waited in vain and nothing has ended since: more of them would only wait, too.
  if (!placed && stuck_.count(owner) != 0) return Outcome::Stuck;
  ++open_;
  Job job{ticket, owner, std::move(run)};
  if (!placed) {
    waiting_.push_back(std::move(job));
    return Outcome::Waits;
  }
  takePlace(std::move(job));
  const Sleeper sleeper = callWorker();
  lock.unlock();
  wake(sleeper);
  return Outcome::Accepted;
}

void Dispatcher::takePlace(Job job) {
  placed_.emplace(job.ticket, job.owner);
  ++places_[job.owner];
  if (job.owner != common::kCoreOwner) ++ownersPlaces_;
  jobs_.push_back(std::move(job));
}

/// Under the lock: sees to it that a worker comes for the jobs. One at a time is called; before it begins its job it
/// calls the next, if there are more. So a burst of quick requests is served by a few workers that are awake, and a
/// handler that blocks never keeps a job from a worker that is free. What is returned has to be woken.
Dispatcher::Sleeper Dispatcher::callWorker() {
  if (called_ != 0 || jobs_.empty()) return nullptr;
  if (resting_.empty()) {
    if (startThread()) ++called_;
    return nullptr;
  }
  const Sleeper sleeper = std::move(resting_.back());
  resting_.pop_back();
  sleeper->woken = true;
  ++called_;
  return sleeper;
}

void Dispatcher::wake(const Sleeper &sleeper) {
  if (sleeper) sleeper->wake.notify_one();
}

bool Dispatcher::startThread() {
  if (threads_ >= static_cast<std::size_t>(options_.workers + options_.reserve)) return false;
  try {
    // It may outlive the server when a handler hangs, so it shares what it uses.
    std::thread([self = shared_from_this()] { self->work(); }).detach();
    ++threads_;
    return true;
  } catch (const std::system_error &) {
    return false; // those that there are serve it in their turn; without any, the next request tries again
  }
}

/// Waits for work; false when there was none for so long that the thread may end.
bool Dispatcher::rest(std::unique_lock<std::mutex> &lock, const Sleeper &self) {
  self->woken = false;
  resting_.push_back(self);
  if (self->wake.wait_for(lock, kLinger, [&] { return self->woken; })) return true;
  resting_.erase(std::find(resting_.begin(), resting_.end(), self));
  return false;
}

void Dispatcher::work() {
  ::pthread_setname_np(::pthread_self(), "api-worker");
  const auto self = std::make_shared<Resting>();
  std::unique_lock lock(mutex_);
  bool called = true;
  for (;;) {
    if (std::exchange(called, false)) --called_;
    if (jobs_.empty()) {
      if (stopping_) break;
      called = rest(lock, self);
      if (!called && jobs_.empty()) break;
      continue;
    }
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    const Sleeper next = callWorker();
    lock.unlock();
    wake(next);
    job.run();
    job.run = nullptr; // what it holds goes before the lock is taken
    lock.lock();
  }
  --threads_;
  changed_.notify_all();
}

std::list<Dispatcher::Job>::iterator Dispatcher::findWaiting(Ticket ticket) {
  return std::find_if(waiting_.begin(), waiting_.end(), [ticket](const Job &job) { return job.ticket == ticket; });
}

void Dispatcher::withdraw(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  const auto found = findWaiting(ticket);
  if (found != waiting_.end()) waiting_.erase(found);
}

bool Dispatcher::giveUp(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  const auto found = findWaiting(ticket);
  if (found == waiting_.end()) return false;
  stuck_.insert(found->owner);
  waiting_.erase(found);
  return true;
}

void Dispatcher::release(Ticket ticket) {
  std::unique_lock lock(mutex_);
  const auto entry = placed_.find(ticket);
  if (entry == placed_.end()) return;
  const OwnerId owner = entry->second;
  placed_.erase(entry);
  const auto places = places_.find(owner);
  if (--places->second == 0) places_.erase(places);
  if (owner != common::kCoreOwner) {
    --ownersPlaces_;
    stuck_.clear();
    giveTurns();
  }
  changed_.notify_all();
  const Sleeper sleeper = callWorker();
  lock.unlock();
  wake(sleeper);
}

void Dispatcher::giveTurns() {
  for (auto job = waiting_.begin(); job != waiting_.end();) {
    if (!mayTakePlace(job->owner)) {
      ++job;
      continue;
    }
    takePlace(std::move(*job));
    job = waiting_.erase(job);
  }
}

void Dispatcher::leave() {
  if (open_.fetch_sub(1) != 1) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

std::size_t Dispatcher::open() const {
  return open_;
}

bool Dispatcher::waitEmpty(Clock::time_point deadline) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return open_ == 0; });
}

bool Dispatcher::waitIdle(OwnerId owner, Clock::time_point deadline) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return places_.find(owner) == places_.end(); });
}

bool Dispatcher::stop(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  for (const Sleeper &sleeper : std::exchange(resting_, {})) {
    sleeper->woken = true;
    ++called_;
    wake(sleeper);
  }
  return changed_.wait_until(lock, deadline, [&] { return threads_ == 0; });
}

} // namespace matrixos::api
