#include "plugin/PendingCalls.h"

#include "plugin/BlockWatch.h"
#include "plugin/CallPool.h"
#include "plugin/PluginBoundary.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <pthread.h>

#include <chrono>
#include <future>
#include <system_error>
#include <thread>
#include <vector>

namespace matrixos::plugin {

namespace {

/// Numbers whose answer may still come, without harm; the oldest are forgotten first.
constexpr std::size_t kMostSwept = 1024;

/// Who does not take an answer in this time does so while others go on.
constexpr std::chrono::seconds kTakesAnswer{1};

} // namespace

PendingCalls &PendingCalls::instance() {
  // Never destroyed: an abandoned thread may answer while the process ends.
  static auto *calls = new PendingCalls;
  return *calls;
}

mos_completion PendingCalls::wrap(Entry entry, std::uint64_t &outId) {
  const std::lock_guard lock(mutex_);
  outId = next_++;
  const std::int64_t giveUpNs = entry.giveUpNs;
  entries_.emplace(outId, std::move(entry));
  if (giveUpNs != MOS_NO_DEADLINE) {
    const auto [at, inserted] = deadlines_.emplace(giveUpNs, outId);
    if (!watching_) {
      try {
        std::thread([this] { watchDeadlines(); }).detach();
        watching_ = true;
      } catch (const std::system_error &) {
        // The next call tries again; until then the provider alone keeps the deadline.
      }
    }
    if (at == deadlines_.begin()) sooner_.notify_one();
  }
  return {reinterpret_cast<void *>(outId), &PendingCalls::answered}; // NOLINT(performance-no-int-to-ptr): a number
}

bool PendingCalls::forget(std::uint64_t id) {
  Entry entry;
  return take(id, entry);
}

bool PendingCalls::take(std::uint64_t id, Entry &out) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(id);
  if (at == entries_.end()) return false;
  out = std::move(at->second);
  entries_.erase(at);
  deadlines_.erase({out.giveUpNs, id});
  return true;
}

void PendingCalls::stray(std::uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    if (swept_.erase(id) != 0) return;
  }
  stray_.fetch_add(1, std::memory_order_relaxed);
  const PluginTag *by = PluginScope::here().plugin;
  PluginFaults::instance().report(by != nullptr ? by->id : "unknown", PluginFault::Stray,
                                  "a call was answered twice, or too late; the answer was dropped");
}

void PendingCalls::deliver(const Entry &entry, mos_status status, mos_str json, const mos_error *error) {
  const BlockWatch watch(entry.consumer.tag, "completion of ", entry.function);
  callBackPlugin(entry.consumer.tag, "a completion",
                 [&] { entry.original.done(entry.original.ctx, status, json, error); });
}

void PendingCalls::answered(void *ctx, mos_status status, mos_str json, const mos_error *error) {
  PendingCalls &self = instance();
  Entry entry;
  const auto id = reinterpret_cast<std::uint64_t>(ctx);
  if (!self.take(id, entry)) return self.stray(id);
  const CallGate::Pass pass = entry.consumer.gate->enter();
  if (!pass) return;
  mos_error checked{};
  if (error != nullptr) checked = *error;
  const PluginTag *provider = PluginScope::tagOf(pluginOf(entry.provider));
  status = checkedStatus(provider, entry.function, status, &checked);
  if (status == MOS_OK && json.len != 0 && json.ptr == nullptr) {
    status = fail(&checked, Status::Internal,
                  "the plugin " + std::string(provider->id) + " gave an answer with a length but without content in " +
                      entry.function,
                  "PLUGIN_ANSWER");
  }
  if (status != MOS_OK) {
    json = mos_str{};
    if (checked.status != status) fail(&checked, static_cast<Status>(status), statusName(static_cast<Status>(status)));
  }
  // Whose completions have blocked does not get another thread of the provider.
  if (BlockWatch::hasBlocked(entry.consumer.tag)) return deliverElsewhere(entry, status, json, checked, {});
  deliver(entry, status, json, status == MOS_OK ? nullptr : &checked);
}

/// On a thread of the pool, for which it waits no longer than `patience`.
void PendingCalls::deliverElsewhere(const Entry &entry, mos_status status, mos_str json, const mos_error &error,
                                    std::chrono::milliseconds patience) {
  struct Delivery : PoolJob {
    void run() noexcept override {
      if (const CallGate::Pass pass = entry.consumer.gate->enter())
        deliver(entry, status, toAbi(json), status == MOS_OK ? nullptr : &error);
      done.set_value();
    }
    Entry entry;
    mos_status status = MOS_OK;
    std::string json;
    mos_error error{};
    std::promise<void> done;
  };
  const auto job = std::make_shared<Delivery>();
  job->entry = entry;
  job->status = status;
  job->json = fromAbi(json);
  job->error = error;
  if (guarded(nullptr, [&] { CallPool::instance().run(job); }) != MOS_OK) return job->run();
  if (patience.count() > 0) job->done.get_future().wait_for(patience);
}

void PendingCalls::sweep(const std::string &plugin) {
  std::vector<Entry> swept;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end();) {
      if (at->second.consumer.plugin != plugin && at->second.provider != plugin) {
        ++at;
        continue;
      }
      deadlines_.erase({at->second.giveUpNs, at->first});
      swept_.insert(at->first);
      if (swept_.size() > kMostSwept) swept_.erase(swept_.begin());
      swept.push_back(std::move(at->second));
      at = entries_.erase(at);
    }
  }
  for (const Entry &entry : swept) {
    mos_error error{};
    fail(&error, Status::Unavailable, "the plugin " + pluginOf(entry.provider) + " stopped before it answered",
         "STOPPED");
    // The host cannot stop a plugin while it waits for another one.
    const bool waits = !BlockWatch::hasBlocked(entry.consumer.tag);
    deliverElsewhere(entry, error.status, mos_str{}, error, waits ? kTakesAnswer : std::chrono::seconds{0});
    if (waits) BlockWatch::look();
  }
}

std::uint64_t PendingCalls::pending() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void PendingCalls::watchDeadlines() {
  ::pthread_setname_np(::pthread_self(), "call-deadlines");
  std::unique_lock lock(mutex_);
  for (;;) {
    if (deadlines_.empty()) {
      sooner_.wait(lock);
      continue;
    }
    const auto [giveUpNs, id] = *deadlines_.begin();
    if (monotonicNanos() < giveUpNs) {
      // libstdc++: CLOCK_MONOTONIC
      sooner_.wait_until(lock, std::chrono::steady_clock::time_point{std::chrono::nanoseconds{giveUpNs}});
      continue;
    }
    deadlines_.erase(deadlines_.begin());
    const auto at = entries_.find(id);
    if (at == entries_.end()) continue;
    const Entry entry = std::move(at->second);
    entries_.erase(at);
    lock.unlock();
    answerLate(entry);
    lock.lock();
  }
}

/// On a thread of the pool: a consumer that blocks in its completion must not keep the others' deadlines.
void PendingCalls::answerLate(const Entry &entry) {
  PluginFaults::instance().report(pluginOf(entry.provider), PluginFault::Abandoned,
                                  std::string(entry.function) + " was not answered by its deadline");
  mos_error error{};
  fail(&error, Status::DeadlineExceeded,
       "the plugin " + pluginOf(entry.provider) + " did not answer " + entry.function + " by its deadline",
       "PLUGIN_HANGS");
  deliverElsewhere(entry, error.status, mos_str{}, error, {});
}

} // namespace matrixos::plugin
