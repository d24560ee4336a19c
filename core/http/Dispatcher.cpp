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
  const std::lock_guard lock(mutex_);
  if (stopping_ || open_ >= static_cast<std::size_t>(options_.workers + options_.backlog)) return Outcome::Full;
  const bool placed = mayTakePlace(owner);
  // Somebody has waited in vain and nothing has ended since: more of them would only wait, too.
  if (!placed && stuck_.count(owner) != 0) return Outcome::Stuck;
  Job job{ticket, owner, std::move(run)};
  if (placed)
    takePlace(std::move(job));
  else
    waiting_.push_back(std::move(job));
  ++open_;
  return placed ? Outcome::Accepted : Outcome::Waits;
}

void Dispatcher::takePlace(Job job) {
  placed_.emplace(job.ticket, job.owner);
  ++places_[job.owner];
  if (job.owner != common::kCoreOwner) ++ownersPlaces_;
  jobs_.push_back(std::move(job));
  wakeWorker();
}

void Dispatcher::wakeWorker() {
  if (!resting_.empty()) {
    resting_.back()->woken = true;
    resting_.back()->wake.notify_one();
    return resting_.pop_back();
  }
  if (threads_ >= static_cast<std::size_t>(options_.workers + options_.reserve)) return;
  try {
    // It may outlive the server when a handler hangs, so it shares what it uses.
    std::thread([self = shared_from_this()] { self->work(); }).detach();
    ++threads_;
  } catch (const std::system_error &) {
    // Those that there are serve it in their turn; without any, the next request tries again.
  }
}

/// Waits for work; false when there was none for so long that the thread may end.
bool Dispatcher::rest(std::unique_lock<std::mutex> &lock) {
  Resting self;
  resting_.push_back(&self);
  if (self.wake.wait_for(lock, kLinger, [&] { return self.woken; })) return true;
  resting_.erase(std::find(resting_.begin(), resting_.end(), &self));
  return false;
}

void Dispatcher::work() {
  ::pthread_setname_np(::pthread_self(), "api-worker");
  std::unique_lock lock(mutex_);
  for (;;) {
    while (jobs_.empty() && !stopping_ && rest(lock)) {
    }
    if (jobs_.empty()) break;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
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
  const std::lock_guard lock(mutex_);
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
  const std::lock_guard lock(mutex_);
  --open_;
  changed_.notify_all();
}

std::size_t Dispatcher::open() const {
  const std::lock_guard lock(mutex_);
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
  while (!resting_.empty())
    wakeWorker();
  return changed_.wait_until(lock, deadline, [&] { return threads_ == 0; });
}

} // namespace matrixos::api
