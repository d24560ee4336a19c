#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::test {

/// A host that remembers what it was told, so that tests see what the daemon would.
class FakeHost {
public:
  FakeHost() {
    host_ = {sizeof host_, MOS_HOST_MINOR, this, &FakeHost::getInterface};
    head(config_);
    config_.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *e) {
      return guarded(e, [&] {
        const std::lock_guard lock(of(self).mutex_);
        const auto at = of(self).values_.find(std::string(fromAbi(key)));
        if (at == of(self).values_.end())
          throw Error(Status::NotFound, "no key " + std::string(fromAbi(key)), "NO_KEY");
        giveBuffer(out, at->second);
      });
    };
    config_.get_int = [](void *, mos_str, std::int64_t *out, mos_error *) -> mos_status { return *out = 42, MOS_OK; };
    config_.get_number = [](void *, mos_str, double *out, mos_error *) -> mos_status { return *out = 0.5, MOS_OK; };
    config_.get_list = [](void *, mos_str, mos_sink items, mos_error *) -> mos_status {
      return items.item(items.ctx, toAbi("one")), items.item(items.ctx, toAbi("two")), MOS_OK;
    };
    head(platform_);
    platform_.info = [](void *, mos_buf *out, mos_error *) -> mos_status { return giveBuffer(out, "{}"), MOS_OK; };
    platform_.set_degraded = [](void *self, mos_str reason, mos_error *) -> mos_status {
      const std::lock_guard lock(of(self).mutex_);
      of(self).degraded_.emplace_back(fromAbi(reason));
      return MOS_OK;
    };
    head(log_);
    log_.write = [](void *self, std::uint32_t, mos_str message, const mos_pair *, std::uint32_t) {
      const std::lock_guard lock(of(self).mutex_);
      of(self).lines_ += std::string(fromAbi(message)) + "\n";
    };
    log_.enabled = [](void *, std::uint32_t level) -> std::int32_t { return level <= MOS_LOG_INFO ? 1 : 0; };
    head(metrics_);
    metrics_.series = [](void *self, std::uint32_t, mos_str name, mos_str, const mos_pair *, std::uint32_t,
                         const double *, std::uint32_t, std::uint64_t *out, mos_error *) -> mos_status {
      const std::lock_guard lock(of(self).mutex_);
      auto &names = of(self).series_;
      names.emplace_back(fromAbi(name));
      return *out = names.size(), MOS_OK;
    };
    metrics_.add = [](void *self, std::uint64_t handle, double value) {
      const std::lock_guard lock(of(self).mutex_);
      of(self).sums_[of(self).series_.at(handle - 1)] += value;
    };
    metrics_.set = metrics_.add;
    head(events_);
    events_.publish = [](void *, mos_str, mos_str, mos_error *) -> mos_status { return MOS_OK; };
    head(services_);
    services_.provide = [](void *self, mos_str, mos_str, const void *table, mos_error *) -> mos_status {
      const std::lock_guard lock(of(self).mutex_);
      of(self).runtime_ = static_cast<const mos_runtime_v1 *>(table);
      return MOS_OK;
    };
  }

  const mos_host_v1 *abi() const noexcept { return &host_; }
  void set(const std::string &key, const std::string &value) {
    const std::lock_guard lock(mutex_);
    values_[key] = value;
  }
  std::string log() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  /// The last one.
  std::string degraded() const {
    const std::lock_guard lock(mutex_);
    return degraded_.empty() ? "" : degraded_.back();
  }
  /// All of them, by line.
  std::string everDegraded() const {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string &text : degraded_)
      all += text + "\n";
    return all;
  }
  double sum(const std::string &series) const {
    const std::lock_guard lock(mutex_);
    const auto at = sums_.find(series);
    return at == sums_.end() ? 0 : at->second;
  }
  /// What the plugin provides; null until then.
  const mos_runtime_v1 *runtime() const {
    const std::lock_guard lock(mutex_);
    return runtime_;
  }

private:
  static FakeHost &of(void *self) { return *static_cast<FakeHost *>(self); }
  template <typename Table>
  void head(Table &table) {
    table.struct_size = sizeof table;
    table.minor = MOS_HOST_MINOR;
    table.self = this;
  }
  static const void *getInterface(void *self, const char *id) {
    const std::string_view name(id);
    if (name == MOS_HOST_CONFIG_1) return &of(self).config_;
    if (name == MOS_HOST_PLATFORM_1) return &of(self).platform_;
    if (name == MOS_HOST_LOG_1) return &of(self).log_;
    if (name == MOS_HOST_METRICS_1) return &of(self).metrics_;
    if (name == MOS_HOST_EVENTS_1) return &of(self).events_;
    if (name == MOS_HOST_SERVICES_1) return &of(self).services_;
    return nullptr;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::string> values_{{"start", ""}, {"stop", ""}, {"word", ""}};
  std::string lines_;
  std::vector<std::string> degraded_, series_;
  std::map<std::string, double> sums_;
  const mos_runtime_v1 *runtime_ = nullptr;
  mos_host_v1 host_{};
  mos_host_config_v1 config_{};
  mos_host_platform_v1 platform_{};
  mos_host_log_v1 log_{};
  mos_host_metrics_v1 metrics_{};
  mos_host_events_v1 events_{};
  mos_host_services_v1 services_{};
};

} // namespace matrixos::test
