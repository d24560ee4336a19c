/// matrixos/host/metrics.hpp: the plugin's metrics, abi/host.h mos_host_metrics_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// One time series. Copyable; does nothing when default-constructed.
class Series {
public:
  Series() = default;
  Series(const mos_host_metrics_v1 *table, std::uint64_t handle) noexcept : table_(table), handle_(handle) {}

  void add(double value = 1) const noexcept {
    if (table_ != nullptr) table_->add(table_->self, handle_, value);
  }
  void observe(double value) const noexcept { add(value); }
  void set(double value) const noexcept {
    if (table_ != nullptr) table_->set(table_->self, handle_, value);
  }

private:
  const mos_host_metrics_v1 *table_ = nullptr;
  std::uint64_t handle_ = 0;
};

/// A metric's label with its value.
using Label = std::pair<std::string_view, std::string_view>;

/// The plugin's metrics.
class Metrics {
public:
  explicit Metrics(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_metrics_v1>(host, MOS_HOST_METRICS_1)) {}

  Series counter(std::string_view name, std::string_view help, std::initializer_list<Label> labels = {}) const {
    return series(MOS_METRIC_COUNTER, name, help, labels, {});
  }
  Series gauge(std::string_view name, std::string_view help, std::initializer_list<Label> labels = {}) const {
    return series(MOS_METRIC_GAUGE, name, help, labels, {});
  }
  Series histogram(std::string_view name, std::string_view help, const std::vector<double> &buckets,
                   std::initializer_list<Label> labels = {}) const {
    return series(MOS_METRIC_HISTOGRAM, name, help, labels, buckets);
  }

private:
  Series series(std::uint32_t type, std::string_view name, std::string_view help, std::initializer_list<Label> labels,
                const std::vector<double> &buckets) const {
    std::vector<mos_pair> pairs;
    for (const Label &label : labels)
      pairs.push_back({toAbi(label.first), toAbi(label.second)});
    std::uint64_t handle = 0;
    check([&](mos_error *e) {
      return table_->series(table_->self, type, toAbi(name), toAbi(help), pairs.data(),
                            static_cast<std::uint32_t>(pairs.size()), buckets.data(),
                            static_cast<std::uint32_t>(buckets.size()), &handle, e);
    });
    return Series(table_, handle);
  }

  const mos_host_metrics_v1 *table_;
};

} // namespace v1
} // namespace matrixos
