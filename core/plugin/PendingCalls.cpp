#include "plugin/PendingCalls.h"

#include "plugin/CallPool.h"
#include "plugin/PluginBoundary.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <pthread.h>

#include <chrono>
#include <system_error>
#include <thread>
#include <vector>

namespace matrixos::plugin {

namespace {

/// Numbers whose answer may still come, without harm; the oldest are forgotten first.
constexpr std::size_t kMostSwept = 1024;

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
  if (status == MOS_OK) return deliver(entry, status, json, nullptr);
  if (checked.status != status) fail(&checked, static_cast<Status>(status), statusName(static_cast<Status>(status)));
  deliver(entry, status, mos_str{}, &checked);
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
    const CallGate::Pass pass = entry.consumer.gate->enter();
    if (!pass) continue;
    mos_error error{};
    fail(&error, Status::Unavailable, "the plugin " + pluginOf(entry.provider) + " stopped before it answered",
         "STOPPED");
    deliver(entry, error.status, mos_str{}, &error);
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
  struct LateAnswer : PoolJob {
    explicit LateAnswer(const Entry &late) : entry(late) {}
    void run() noexcept override {
      const CallGate::Pass pass = entry.consumer.gate->enter();
      if (!pass) return;
      mos_error error{};
      fail(&error, Status::DeadlineExceeded,
           "the plugin " + pluginOf(entry.provider) + " did not answer " + entry.function + " by its deadline",
           "PLUGIN_HANGS");
      deliver(entry, error.status, mos_str{}, &error);
    }
    const Entry entry;
  };
  PluginFaults::instance().report(pluginOf(entry.provider), PluginFault::Abandoned,
                                  std::string(entry.function) + " was not answered by its deadline");
  const auto job = std::make_shared<LateAnswer>(entry);
  if (guarded(nullptr, [&] { CallPool::instance().run(job); }) != MOS_OK) job->run();
}

} // namespace matrixos::plugin
