#include "common/Executor.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace matrixos::common {

/// Shared by the Executor and its threads, which are detached: an abandoned one may outlive the Executor.
class Executor::Impl : public std::enable_shared_from_this<Impl> {
public:
  explicit Impl(ExecutorOptions options);

  Ticket submit(Owner owner, Task &&run, Task &&drop);
  std::size_t drop(Owner owner, bool close);
  void forget(Owner owner);
  bool waitIdle(Owner owner, std::chrono::nanoseconds timeout);
  Abandoned abandon(Ticket ticket);
  Counts counts(const Owner *owner) const;
  std::size_t threads() const;
  bool stop(std::chrono::nanoseconds timeout);

private:
  struct Item {
    Ticket ticket = 0;
    Owner owner = 0;
    Task run;
    Task drop;
  };
  using Queue = std::deque<Item>;

  struct OwnerState {
    Queue queue;
    std::size_t running = 0;
    std::size_t abandoned = 0;
    bool listed = false; ///< stands in ready_

    bool idle() const { return queue.empty() && running == 0; }
  };

  struct Running {
    Owner owner = 0;
    bool abandoned = false;
  };

  void work();
  bool takeNext(std::unique_lock<std::mutex> &lock, Item &item);
  bool finish(const Item &item);
  void list(Owner owner, OwnerState &state);
  void wakeOrSpawn();
  void leave(Running &running);
  void forgetIfEmpty(Owner owner);
  void call(Owner owner, const Task &task) noexcept;
  void callDrops(Queue &items) noexcept;

  const ExecutorOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::unordered_map<Owner, OwnerState> owners_;
  std::deque<Owner> ready_; ///< owners with a task that may start now, each once, in turn
  std::unordered_map<Ticket, Running> running_;
  std::unordered_set<Owner> closed_;
  Ticket lastTicket_ = 0;
  std::size_t threads_ = 0;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

namespace {

ExecutorOptions completed(ExecutorOptions options) {
  options.threads = std::max<std::size_t>(options.threads, 1);
  if (options.runningPerOwner == 0) options.runningPerOwner = std::max<std::size_t>(options.threads * 3 / 4, 1);
  options.name.resize(std::min<std::size_t>(options.name.size(), 15)); // pthread_setname_np(3)
  return options;
}

} // namespace

Executor::Impl::Impl(ExecutorOptions options) : options_(completed(std::move(options))) {}

Executor::Ticket Executor::Impl::submit(Owner owner, Task &&run, Task &&drop) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || closed_.count(owner) != 0) throw Error(Status::Unavailable, "the executor takes no more work");
  OwnerState &state = owners_[owner];
  if (state.queue.size() >= options_.queuedPerOwner) {
    throw Error(Status::ResourceExhausted,
                "already " + std::to_string(options_.queuedPerOwner) + " tasks are waiting; try again later",
                "QUEUE_FULL", 1000);
  }
  const Ticket ticket = ++lastTicket_;
  state.queue.push_back({ticket, owner, std::move(run), std::move(drop)});
  list(owner, state);
  wakeOrSpawn();
  if (threads_ == 0) {
    state.queue.pop_back();
    throw Error(Status::ResourceExhausted, "no thread can be made; raise the limit of threads (ulimit -u)", "", 1000);
  }
  return ticket;
}

/// Puts the owner in line when it has a task that may start.
void Executor::Impl::list(Owner owner, OwnerState &state) {
  if (state.listed || state.queue.empty() || state.running >= options_.runningPerOwner) return;
  ready_.push_back(owner);
  state.listed = true;
}

/// Sees to it that somebody takes what is ready. Every thread that takes a task calls it again for the rest.
void Executor::Impl::wakeOrSpawn() {
  if (ready_.empty()) return;
  if (idle_ > 0) work_.notify_one();
  if (ready_.size() <= idle_ || threads_ >= options_.threads) return;
  try {
    std::thread([self = shared_from_this()] { self->work(); }).detach();
    ++threads_;
  } catch (const std::system_error &) {
    // No thread to be had: the present ones take the work when they come to it.
  }
}

void Executor::Impl::work() {
  ::pthread_setname_np(::pthread_self(), options_.name.c_str());
  std::unique_lock lock(mutex_);
  Item item;
  while (takeNext(lock, item)) {
    lock.unlock();
    call(item.owner, item.run);
    // What the task owns goes before it counts as done, so that nothing of the owner is left after waitIdle().
    item.run = nullptr;
    item.drop = nullptr;
    lock.lock();
    if (!finish(item)) return;
  }
  --threads_;
  done_.notify_all();
}

/// Waits for a task; false when the thread should end.
bool Executor::Impl::takeNext(std::unique_lock<std::mutex> &lock, Item &item) {
  while (ready_.empty()) {
    if (stopping_) return false;
    ++idle_;
    const auto result = work_.wait_for(lock, options_.idleTime);
    --idle_;
    if (result == std::cv_status::timeout && ready_.empty()) return false;
  }
  const Owner owner = ready_.front();
  ready_.pop_front();
  OwnerState &state = owners_[owner];
  state.listed = false;
  if (state.queue.empty()) { // dropped meanwhile
    forgetIfEmpty(owner);
    return takeNext(lock, item);
  }
  item = std::move(state.queue.front());
  state.queue.pop_front();
  ++state.running;
  running_[item.ticket] = Running{owner, false};
  list(owner, state);
  wakeOrSpawn();
  return true;
}

/// False when the task was abandoned, and this thread with it.
bool Executor::Impl::finish(const Item &item) {
  const auto found = running_.find(item.ticket);
  const bool abandoned = found->second.abandoned;
  running_.erase(found);
  OwnerState &state = owners_[item.owner];
  --(abandoned ? state.abandoned : state.running);
  list(item.owner, state);
  wakeOrSpawn();
  forgetIfEmpty(item.owner);
  done_.notify_all();
  return !abandoned;
}

void Executor::Impl::forgetIfEmpty(Owner owner) {
  const auto found = owners_.find(owner);
  if (found == owners_.end()) return;
  const OwnerState &state = found->second;
  if (state.idle() && state.abandoned == 0 && !state.listed) owners_.erase(found);
}

std::size_t Executor::Impl::drop(Owner owner, bool close) {
  Queue items;
  {
    const std::lock_guard lock(mutex_);
    if (close) closed_.insert(owner);
    if (const auto found = owners_.find(owner); found != owners_.end()) items.swap(found->second.queue);
  }
  callDrops(items);
  done_.notify_all();
  return items.size();
}

void Executor::Impl::forget(Owner owner) {
  const std::lock_guard lock(mutex_);
  closed_.erase(owner);
}

bool Executor::Impl::waitIdle(Owner owner, std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  return done_.wait_for(lock, timeout, [&] {
    const auto found = owners_.find(owner);
    return found == owners_.end() || found->second.idle();
  });
}

/// Takes the thread of a running task out of the count.
void Executor::Impl::leave(Running &running) {
  running.abandoned = true;
  OwnerState &state = owners_[running.owner];
  --state.running;
  ++state.abandoned;
  --threads_;
  list(running.owner, state);
}

Executor::Abandoned Executor::Impl::abandon(Ticket ticket) {
  Queue dropped;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = running_.find(ticket); found != running_.end()) {
      if (found->second.abandoned) return Abandoned::Left;
      leave(found->second);
      wakeOrSpawn();
      done_.notify_all();
      return Abandoned::Left;
    }
    for (auto &[owner, state] : owners_) {
      const auto at =
          std::find_if(state.queue.begin(), state.queue.end(), [&](const Item &item) { return item.ticket == ticket; });
      if (at == state.queue.end()) continue;
      dropped.push_back(std::move(*at));
      state.queue.erase(at);
      break;
    }
  }
  if (dropped.empty()) return Abandoned::Gone;
  callDrops(dropped);
  done_.notify_all();
  return Abandoned::Dropped;
}

Executor::Counts Executor::Impl::counts(const Owner *owner) const {
  const std::lock_guard lock(mutex_);
  Counts counts;
  for (const auto &[id, state] : owners_) {
    if (owner != nullptr && *owner != id) continue;
    counts.queued += state.queue.size();
    counts.running += state.running;
    counts.abandoned += state.abandoned;
  }
  return counts;
}

std::size_t Executor::Impl::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_;
}

bool Executor::Impl::stop(std::chrono::nanoseconds timeout) {
  Queue items;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto &[owner, state] : owners_) {
      std::move(state.queue.begin(), state.queue.end(), std::back_inserter(items));
      state.queue.clear();
    }
  }
  work_.notify_all();
  callDrops(items);
  std::unique_lock lock(mutex_);
  const bool ended = done_.wait_for(lock, timeout, [&] { return threads_ == 0; });
  for (auto &[ticket, running] : running_) {
    if (!running.abandoned) leave(running);
  }
  return ended && running_.empty();
}

void Executor::Impl::call(Owner owner, const Task &task) noexcept {
  const auto report = [&](std::string_view what) {
    if (options_.onError) options_.onError(owner, what);
  };
  try {
    if (task) task();
  } catch (const std::exception &e) {
    report(e.what());
  } catch (...) {
    report("unknown exception");
  }
}

void Executor::Impl::callDrops(Queue &items) noexcept {
  for (Item &item : items) {
    call(item.owner, item.drop);
    item.run = nullptr;
    item.drop = nullptr;
  }
}

Executor::Executor(ExecutorOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {}
Executor::~Executor() {
  stop(std::chrono::seconds(10));
}

Executor::Ticket Executor::submit(Owner owner, Task run, Task drop) {
  return impl_->submit(owner, std::move(run), std::move(drop));
}
std::size_t Executor::drop(Owner owner) {
  return impl_->drop(owner, false);
}
void Executor::forget(Owner owner) {
  impl_->forget(owner);
}

std::size_t Executor::close(Owner owner) {
  return impl_->drop(owner, true);
}
bool Executor::waitIdle(Owner owner, std::chrono::nanoseconds timeout) {
  return impl_->waitIdle(owner, timeout);
}
Executor::Abandoned Executor::abandon(Ticket ticket) {
  return impl_->abandon(ticket);
}
Executor::Counts Executor::counts(Owner owner) const {
  return impl_->counts(&owner);
}
Executor::Counts Executor::counts() const {
  return impl_->counts(nullptr);
}
std::size_t Executor::threads() const {
  return impl_->threads();
}
bool Executor::stop(std::chrono::nanoseconds timeout) {
  return impl_->stop(timeout);
}

} // namespace matrixos::common
