/// Prometheus metrics of the daemon and its plugins.
#pragma once

#include "common/Owner.h"

#include <matrixos/abi/host.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::metrics {

enum class Type : std::uint32_t {
  Counter = MOS_METRIC_COUNTER,
  Gauge = MOS_METRIC_GAUGE,
  Histogram = MOS_METRIC_HISTOGRAM,
};

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Stands for one time series; a stale one is ignored. 0 is never a series.
using Handle = std::uint64_t;

struct MetricsOptions {
  /// Series of one name at most. Further label values share one series {overflow="true"}, so that tenants who choose
  /// label values cannot fill the memory.
  std::size_t seriesPerFamily = 1000;
  /// Names at most, over all owners.
  std::size_t families = 1000;
};

/// All time series of the process. All functions are thread-safe.
class Metrics {
public:
  explicit Metrics(MetricsOptions options = {});
  ~Metrics();
  Metrics(const Metrics &) = delete;
  Metrics &operator=(const Metrics &) = delete;

  /// The handle for a name and its labels; the same series gives the same handle, to several owners too. buckets: upper
  /// bounds in ascending order, for histograms only. Throws Error: InvalidArgument for names or labels that Prometheus
  /// does not allow, a name without "matrixos_" or wrong buckets; AlreadyExists when the name stands for another type
  /// or other buckets; ResourceExhausted when there are too many names.
  Handle series(common::Owner owner, Type type, std::string_view name, std::string_view help, const Labels &labels = {},
                std::span<const double> buckets = {});

  /// [loop] Counter and gauge: adds (a counter ignores negatives). Histogram: observes.
  void add(Handle handle, double value) noexcept;
  /// [loop] Gauge: sets.
  void set(Handle handle, double value) noexcept;

  /// Removes the owner's series, except those that another owner has asked for as well. Their handles become stale.
  void sweep(common::Owner owner);

  /// Called before each exposition, to set gauges that are cheaper to read than to keep. Never removed; must not call
  /// onExpose() or exposition().
  void onExpose(std::function<void()> refresh);

  /// Everything in the text format, https://prometheus.io/docs/instrumenting/exposition_formats/, with the metrics of
  /// the process itself.
  std::string exposition();
  static const char *contentType() noexcept { return "text/plain; version=0.0.4; charset=utf-8"; }

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace matrixos::metrics
