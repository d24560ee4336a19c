#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/call.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace matrixos::lifecycle::test {

/// As much of a host as the lifecycle plugin asks for: settings, a log and metrics that go nowhere, periodic timers on
/// threads of their own, one service to acquire and the one that is provided.
class FakeHost {
public:
  explicit FakeHost(const void *orchestrator) : orchestrator_(orchestrator) {
    host_ = {sizeof host_, MOS_HOST_MINOR, this,
             [](void *self, const char *id) -> const void * { return static_cast<FakeHost *>(self)->find(id); }};
    fillConfig();
    fillLogAndMetrics();
    fillTimers();
    fillServices();
  }
  FakeHost(const FakeHost &) = delete;
  FakeHost &operator=(const FakeHost &) = delete;

  const mos_host_v1 *abi() const { return &host_; }
  /// What the plugin provides now; null before start() and after stop().
  const void *provided() const { return provided_.load(); }
  std::size_t timers() const {
    const std::lock_guard lock(mutex_);
    return timers_.size();
  }
  void set(const std::string &key, std::int64_t value) {
    const std::lock_guard lock(mutex_);
    values_[key] = value;
  }
  /// acquire() fails from now on.
  void withholdOrchestrator() { orchestrator_ = nullptr; }

private:
  /// Runs a callback periodically until it is cancelled.
  class Timer {
  public:
    Timer(std::int64_t periodMs, void (*fire)(void *), void *ctx)
        : thread_([this, periodMs, fire, ctx] {
            std::unique_lock lock(mutex_);
            while (!changed_.wait_for(lock, std::chrono::milliseconds(periodMs), [this] { return cancelled_; })) {
              lock.unlock();
              fire(ctx);
              lock.lock();
            }
          }) {}
    ~Timer() {
      {
        const std::lock_guard lock(mutex_);
        cancelled_ = true;
      }
      changed_.notify_all();
      thread_.join();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool cancelled_ = false;
    std::thread thread_;
  };

  static FakeHost &of(void *self) { return *static_cast<FakeHost *>(self); }

  const void *find(const std::string &id) const {
    if (id == MOS_HOST_CONFIG_1) return &config_;
    if (id == MOS_HOST_LOG_1) return &log_;
    if (id == MOS_HOST_METRICS_1) return &metrics_;
    if (id == MOS_HOST_TIMERS_1) return &timersTable_;
    if (id == MOS_HOST_SERVICES_1) return &services_;
    return nullptr;
  }

  void fillConfig() {
    config_.struct_size = sizeof config_;
    config_.self = this;
    config_.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
      return guarded(error, [&] {
        const std::lock_guard lock(of(self).mutex_);
        *out = of(self).values_.at(std::string(fromAbi(key)));
      });
    };
  }
  void fillLogAndMetrics() {
    log_.struct_size = sizeof log_;
    log_.self = this;
    log_.write = [](void *, std::uint32_t, mos_str, const mos_pair *, std::uint32_t) {};
    log_.enabled = [](void *, std::uint32_t) { return 0; };
    metrics_.struct_size = sizeof metrics_;
    metrics_.self = this;
    metrics_.series = [](void *, std::uint32_t, mos_str, mos_str, const mos_pair *, std::uint32_t, const double *,
                         std::uint32_t, std::uint64_t *, mos_error *) -> mos_status { return MOS_OK; };
    metrics_.add = [](void *, std::uint64_t, double) {};
    metrics_.set = [](void *, std::uint64_t, double) {};
  }
  void fillTimers() {
    timersTable_.struct_size = sizeof timersTable_;
    timersTable_.self = this;
    timersTable_.schedule = [](void *self, std::int64_t, std::int64_t period, void (*fire)(void *), void *ctx,
                               std::uint64_t *out, mos_error *error) {
      return guarded(error, [&] {
        FakeHost &host = of(self);
        const std::lock_guard lock(host.mutex_);
        *out = ++host.lastTimer_;
        host.timers_[*out] = std::make_unique<Timer>(period, fire, ctx);
      });
    };
    timersTable_.cancel = [](void *self, std::uint64_t handle, mos_error *) -> mos_status {
      std::unique_ptr<Timer> ended;
      const std::lock_guard lock(of(self).mutex_);
      const auto found = of(self).timers_.find(handle);
      if (found == of(self).timers_.end()) return MOS_NOT_FOUND;
      ended = std::move(found->second);
      of(self).timers_.erase(found);
      return MOS_OK;
    };
  }
  void fillServices() {
    services_.struct_size = sizeof services_;
    services_.self = this;
    services_.acquire = [](void *self, mos_str, mos_str, const void **out, mos_error *error) -> mos_status {
      if (of(self).orchestrator_ == nullptr) return fail(error, Status::Unavailable, "nobody offers it");
      *out = of(self).orchestrator_;
      return MOS_OK;
    };
    services_.provide = [](void *self, mos_str, mos_str, const void *table, mos_error *) -> mos_status {
      of(self).provided_ = table;
      return MOS_OK;
    };
    services_.withdraw = [](void *self, mos_str, mos_str, mos_error *) -> mos_status {
      of(self).provided_ = nullptr;
      return MOS_OK;
    };
  }

  const void *orchestrator_;
  std::atomic<const void *> provided_{nullptr};
  mutable std::mutex mutex_;
  std::map<std::string, std::int64_t> values_{
      {"check_interval", 300'000}, {"idle_timeout", 1'800'000}, {"max_stops", 2},         {"ready_timeout", 60'000},
      {"max_waiters", 20'000},     {"probe_interval", 5},       {"probe_timeout", 10'000}};
  std::map<std::uint64_t, std::unique_ptr<Timer>> timers_;
  std::uint64_t lastTimer_ = 0;
  mos_host_v1 host_{};
  mos_host_config_v1 config_{};
  mos_host_log_v1 log_{};
  mos_host_metrics_v1 metrics_{};
  mos_host_timers_v1 timersTable_{};
  mos_host_services_v1 services_{};
};

} // namespace matrixos::lifecycle::test
