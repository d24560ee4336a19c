#include "metrics/Metrics.h"

#include "metrics/ProcessMetrics.h"
#include "metrics/SeriesTable.h"

#include <matrixos/status.hpp>
#include <matrixos/text/utf8.hpp>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <variant>

namespace matrixos::metrics {
namespace {

constexpr std::size_t kLongestName = 200;
constexpr std::size_t kLongestValue = 256;

bool isName(std::string_view text, bool colons) {
  const auto isLetter = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
  };
  if (text.empty() || text.size() > kLongestName || !isLetter(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return isLetter(c) || (c >= '0' && c <= '9'); });
}

/// Valid UTF-8, cut to length at a character: label values come from strangers.
std::string cleanValue(std::string_view value) {
  return cleanUtf8(cutUtf8(value, kLongestValue));
}

prometheus::Labels checkedLabels(Type type, const Labels &labels) {
  prometheus::Labels checked;
  for (const auto &[key, value] : labels) {
    const bool reserved = key.rfind("__", 0) == 0 || (type == Type::Histogram && key == "le");
    if (!isName(key, false) || reserved) {
      throw Error(Status::InvalidArgument, "\"" + key + "\" is no name for a metric's label");
    }
    if (!checked.emplace(key, cleanValue(value)).second) {
      throw Error(Status::InvalidArgument, "the label \"" + key + "\" stands twice");
    }
  }
  return checked;
}

void checkBuckets(Type type, std::span<const double> buckets) {
  if (type != Type::Histogram) {
    if (!buckets.empty()) throw Error(Status::InvalidArgument, "only histograms have buckets");
    return;
  }
  constexpr std::size_t kMostBuckets = 100;
  const auto falling = [](double a, double b) { return !(a < b); };
  if (buckets.empty() || buckets.size() > kMostBuckets || std::isnan(buckets[0]) ||
      std::adjacent_find(buckets.begin(), buckets.end(), falling) != buckets.end()) {
    throw Error(Status::InvalidArgument, "a histogram has 1 to 100 upper bounds in ascending order");
  }
}

} // namespace

class Metrics::Impl {
public:
  explicit Impl(MetricsOptions options) : options_(options) {}

  Handle series(common::Owner owner, Type type, std::string_view name, std::string_view help, const Labels &labels,
                std::span<const double> buckets);
  void sweep(common::Owner owner);
  void onExpose(std::function<void()> refresh);
  std::string exposition();

  SeriesTable table;

private:
  struct Series {
    Handle handle = 0;
    void *object = nullptr;
    std::set<common::Owner> owners;
  };

  template <typename Metric>
  using FamilyPtr = std::unique_ptr<prometheus::Family<Metric>>;

  template <typename Metric>
  static void remove(const FamilyPtr<Metric> &from, void *object) {
    from->Remove(static_cast<Metric *>(object));
  }

  struct Family {
    Type type = Type::Counter;
    std::vector<double> buckets;
    std::variant<FamilyPtr<prometheus::Counter>, FamilyPtr<prometheus::Gauge>, FamilyPtr<prometheus::Histogram>>
        metrics;
    std::map<prometheus::Labels, Series> series;
  };

  Family &family(Type type, const std::string &name, std::string_view help, std::span<const double> buckets);
  Series &make(Family &family, const prometheus::Labels &labels);

  const MetricsOptions options_;
  std::mutex mutex_;
  std::map<std::string, Family> families_;
  std::mutex refreshMutex_;
  std::vector<std::function<void()>> refreshers_;
};

Metrics::Impl::Family &Metrics::Impl::family(Type type, const std::string &name, std::string_view help,
                                             std::span<const double> buckets) {
  if (const auto found = families_.find(name); found != families_.end()) {
    Family &family = found->second;
    if (family.type != type ||
        !std::equal(buckets.begin(), buckets.end(), family.buckets.begin(), family.buckets.end())) {
      throw Error(Status::AlreadyExists, "the metric " + name + " exists with another type or other buckets");
    }
    return family;
  }
  if (families_.size() >= options_.families) {
    throw Error(Status::ResourceExhausted,
                "there are " + std::to_string(options_.families) + " metrics already; " + name + " is one too many");
  }
  Family family;
  family.type = type;
  family.buckets.assign(buckets.begin(), buckets.end());
  const std::string about = cleanValue(help);
  const prometheus::Labels none;
  switch (type) {
  case Type::Counter:
    family.metrics = std::make_unique<prometheus::Family<prometheus::Counter>>(name, about, none);
    break;
  case Type::Gauge:
    family.metrics = std::make_unique<prometheus::Family<prometheus::Gauge>>(name, about, none);
    break;
  case Type::Histogram:
    family.metrics = std::make_unique<prometheus::Family<prometheus::Histogram>>(name, about, none);
    break;
  }
  return families_.emplace(name, std::move(family)).first->second;
}

Metrics::Impl::Series &Metrics::Impl::make(Family &family, const prometheus::Labels &labels) {
  Series series;
  if (auto *counters = std::get_if<FamilyPtr<prometheus::Counter>>(&family.metrics)) {
    series.object = &(*counters)->Add(labels);
  } else if (auto *gauges = std::get_if<FamilyPtr<prometheus::Gauge>>(&family.metrics)) {
    series.object = &(*gauges)->Add(labels);
  } else {
    series.object = &std::get<FamilyPtr<prometheus::Histogram>>(family.metrics)->Add(labels, family.buckets);
  }
  series.handle = table.allocate({family.type, series.object});
  return family.series.emplace(labels, std::move(series)).first->second;
}

Handle Metrics::Impl::series(common::Owner owner, Type type, std::string_view name, std::string_view help,
                             const Labels &labels, std::span<const double> buckets) {
  constexpr std::string_view kPrefix = "matrixos_";
  if (type != Type::Counter && type != Type::Gauge && type != Type::Histogram) {
    throw Error(Status::InvalidArgument, "a metric is a counter, a gauge or a histogram");
  }
  if (!isName(name, true) || name.substr(0, kPrefix.size()) != kPrefix) {
    throw Error(Status::InvalidArgument, "\"" + std::string(name) +
                                             "\" is no name for a metric; it is made of a-z, 0-9 and _ and starts with "
                                             "matrixos_");
  }
  checkBuckets(type, buckets);
  prometheus::Labels checked = checkedLabels(type, labels);
  const std::lock_guard lock(mutex_);
  Family &owning = family(type, std::string(name), help, buckets);
  if (owning.series.count(checked) == 0 && owning.series.size() >= options_.seriesPerFamily) {
    checked = {{"overflow", "true"}};
  }
  const auto found = owning.series.find(checked);
  Series &series = found != owning.series.end() ? found->second : make(owning, checked);
  series.owners.insert(owner);
  return series.handle;
}

void Metrics::Impl::sweep(common::Owner owner) {
  const std::lock_guard lock(mutex_);
  for (auto family = families_.begin(); family != families_.end();) {
    auto &series = family->second.series;
    for (auto at = series.begin(); at != series.end();) {
      if (at->second.owners.erase(owner) == 0 || !at->second.owners.empty()) {
        ++at;
        continue;
      }
      table.release(at->second.handle);
      std::visit([&](auto &metrics) { remove(metrics, at->second.object); }, family->second.metrics);
      at = series.erase(at);
    }
    family = series.empty() ? families_.erase(family) : std::next(family);
  }
}

void Metrics::Impl::onExpose(std::function<void()> refresh) {
  const std::lock_guard lock(refreshMutex_);
  refreshers_.push_back(std::move(refresh));
}

std::string Metrics::Impl::exposition() {
  {
    const std::lock_guard lock(refreshMutex_);
    for (const auto &refresh : refreshers_)
      refresh();
  }
  std::vector<prometheus::MetricFamily> collected = collectProcess();
  {
    const std::lock_guard lock(mutex_);
    for (const auto &[name, family] : families_) {
      auto part = std::visit([](const auto &metrics) { return metrics->Collect(); }, family.metrics);
      std::move(part.begin(), part.end(), std::back_inserter(collected));
    }
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, collected);
  return text.str();
}

Metrics::Metrics(MetricsOptions options) : impl_(std::make_unique<Impl>(options)) {}
Metrics::~Metrics() = default;

Handle Metrics::series(common::Owner owner, Type type, std::string_view name, std::string_view help,
                       const Labels &labels, std::span<const double> buckets) {
  return impl_->series(owner, type, name, help, labels, buckets);
}

void Metrics::add(Handle handle, double value) noexcept {
  if (std::isnan(value)) return;
  impl_->table.with(handle, [value](const SeriesTable::Metric &metric) {
    switch (metric.type) {
    case Type::Counter:
      if (value > 0) static_cast<prometheus::Counter *>(metric.object)->Increment(value);
      return;
    case Type::Gauge:
      static_cast<prometheus::Gauge *>(metric.object)->Increment(value);
      return;
    case Type::Histogram:
      static_cast<prometheus::Histogram *>(metric.object)->Observe(value);
      return;
    }
  });
}

void Metrics::set(Handle handle, double value) noexcept {
  impl_->table.with(handle, [value](const SeriesTable::Metric &metric) {
    if (metric.type == Type::Gauge) static_cast<prometheus::Gauge *>(metric.object)->Set(value);
  });
}

void Metrics::sweep(common::Owner owner) {
  impl_->sweep(owner);
}
void Metrics::onExpose(std::function<void()> refresh) {
  impl_->onExpose(std::move(refresh));
}
std::string Metrics::exposition() {
  return impl_->exposition();
}

} // namespace matrixos::metrics
