#include "support/FakeHost.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/call.hpp>
#include <matrixos/host/log.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace matrixos::test {

namespace {

/// Durations in milliseconds, sizes in bytes, booleans as 0 and 1.
std::int64_t numberOf(const std::string &text) {
  static const std::map<std::string, std::int64_t> kUnits{
      {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"KB", 1024}, {"MB", 1 << 20}, {"GB", 1 << 30}};
  if (text == "true" || text == "false") return text == "true" ? 1 : 0;
  std::size_t end = 0;
  const std::int64_t value = std::stoll(text, &end);
  return value * kUnits.at(text.substr(end));
}

std::string seriesName(mos_str name, const mos_pair *labels, std::uint32_t count) {
  std::string text(fromAbi(name));
  for (std::uint32_t i = 0; i < count; ++i) {
    text += (i == 0 ? "{" : ",") + std::string(fromAbi(labels[i].key)) + "=\"" + std::string(fromAbi(labels[i].value)) +
            "\"" + (i + 1 == count ? "}" : "");
  }
  return text;
}

MOS_DESCRIBE_SERVICE(kRuntime, MOS_RUNTIME_1, MOS_RUNTIME_1_MINOR, MOS_FUNCTIONS_OF_RUNTIME_1)

std::string inLines(const std::vector<std::string> &texts) {
  std::string all;
  for (const std::string &text : texts)
    all += text + "\n";
  return all;
}

} // namespace

FakeHost::FakeHost() {
  host_ = {sizeof host_, MOS_HOST_MINOR, this, [](void *self, const char *id) -> const void * {
             {
               const std::lock_guard lock(of(self).mutex_);
               if (of(self).withheld_.count(std::string_view(id)) != 0) return nullptr;
             }
             return of(self).find(id);
           }};
  fillConfig();
  fillPlatform();
  fillLog();
  fillMetrics();
  fillServices();
}

FakeHost::FakeHost(const mos_descriptor_v1 &plugin) : FakeHost() {
  for (std::uint32_t i = 0; i < plugin.config_keys_count; ++i) {
    const mos_config_key &key = plugin.config_keys[i];
    config_[key.key] = key.default_value != nullptr ? key.default_value : "";
  }
}

const void *FakeHost::find(std::string_view id) const {
  if (id == MOS_HOST_CONFIG_1) return &configTable_;
  if (id == MOS_HOST_PLATFORM_1) return &platformTable_;
  if (id == MOS_HOST_LOG_1) return &logTable_;
  if (id == MOS_HOST_METRICS_1) return &metricsTable_;
  if (id == MOS_HOST_EVENTS_1) return &eventsTable_;
  if (id == MOS_HOST_SERVICES_1) return &servicesTable_;
  if (id == MOS_HOST_HTTP_1) return http_.table();
  if (id == MOS_HOST_TIMERS_1) return timers_.table();
  return nullptr;
}

std::string FakeHost::value(mos_str key) const {
  const std::lock_guard lock(mutex_);
  const auto found = config_.find(std::string(fromAbi(key)));
  if (found == config_.end()) throw Error(Status::NotFound, "no key " + std::string(fromAbi(key)), "NO_KEY");
  return found->second;
}

void FakeHost::fillConfig() {
  head(configTable_);
  configTable_.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
    return guarded(error, [&] { giveBuffer(out, of(self).value(key)); });
  };
  configTable_.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
    return guarded(error, [&] { *out = numberOf(of(self).value(key)); });
  };
  configTable_.get_number = [](void *self, mos_str key, double *out, mos_error *error) {
    return guarded(error, [&] { *out = std::stod(of(self).value(key)); });
  };
  configTable_.get_list = [](void *self, mos_str key, mos_sink items, mos_error *error) {
    return guarded(error, [&] {
      const std::string text = of(self).value(key);
      for (std::size_t at = text.find_first_not_of(", "); at != std::string::npos;
           at = text.find_first_not_of(", ", at)) {
        const std::size_t end = std::min(text.find_first_of(", ", at), text.size());
        items.item(items.ctx, toAbi(std::string_view(text).substr(at, end - at)));
        at = end;
      }
    });
  };
}

void FakeHost::fillPlatform() {
  head(platformTable_);
  platformTable_.info = [](void *self, mos_buf *out, mos_error *error) {
    return guarded(error, [&] {
      const std::lock_guard lock(of(self).mutex_);
      giveBuffer(out, of(self).info_);
    });
  };
  platformTable_.set_degraded = [](void *self, mos_str reason, mos_error *) -> mos_status {
    const std::lock_guard lock(of(self).mutex_);
    of(self).degraded_.emplace_back(fromAbi(reason));
    return MOS_OK;
  };
  head(eventsTable_);
  eventsTable_.publish = [](void *self, mos_str topic, mos_str, mos_error *) -> mos_status {
    const std::lock_guard lock(of(self).mutex_);
    of(self).topics_.emplace_back(fromAbi(topic));
    return MOS_OK;
  };
  // Nobody else publishes here, so nothing ever comes.
  eventsTable_.subscribe = [](void *, mos_str, void (*)(void *, mos_str, mos_str), void *, std::uint64_t *out,
                              mos_error *) -> mos_status {
    *out = 1;
    return MOS_OK;
  };
  eventsTable_.unsubscribe = [](void *, std::uint64_t, mos_error *) -> mos_status { return MOS_OK; };
}

void FakeHost::fillLog() {
  head(logTable_);
  logTable_.write = [](void *self, std::uint32_t level, mos_str message, const mos_pair *fields, std::uint32_t count) {
    Line line{level, std::string(fromAbi(message)), {}, {}};
    for (std::uint32_t i = 0; i < count; ++i)
      line.fields[std::string(fromAbi(fields[i].key))] = fromAbi(fields[i].value);
    of(self).keep(std::move(line));
  };
  logTable_.write_fields = [](void *self, std::uint32_t level, mos_str message, const mos_field *fields,
                              std::uint32_t count) {
    Line line{level, std::string(fromAbi(message)), {}, {}};
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string key(fromAbi(fields[i].key));
      line.fields[key] = fieldText(fields[i]);
      line.types[key] = fields[i].type;
    }
    of(self).keep(std::move(line));
  };
  logTable_.enabled = [](void *, std::uint32_t level) -> std::int32_t { return level <= MOS_LOG_INFO ? 1 : 0; };
}

void FakeHost::keep(Line line) {
  static const bool shown = std::getenv("TEST_LOG") != nullptr; // for whoever looks for a fault
  const std::lock_guard lock(mutex_);
  if (shown) {
    std::fprintf(stderr, "%u %s", line.level, line.message.c_str());
    for (const auto &[key, text] : line.fields)
      std::fprintf(stderr, " %s=%s", key.c_str(), text.c_str());
    std::fputc('\n', stderr);
  }
  lines_.push_back(std::move(line));
}

void FakeHost::fillMetrics() {
  head(metricsTable_);
  metricsTable_.series = [](void *self, std::uint32_t, mos_str name, mos_str, const mos_pair *labels,
                            std::uint32_t count, const double *, std::uint32_t, std::uint64_t *out,
                            mos_error *) -> mos_status {
    const std::lock_guard lock(of(self).mutex_);
    auto &all = of(self).series_;
    const std::string text = seriesName(name, labels, count);
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto &one) { return one.first == text; });
    *out = static_cast<std::uint64_t>(found - all.begin()) + 1;
    if (found == all.end()) all.emplace_back(text, 0);
    return MOS_OK;
  };
  metricsTable_.add = [](void *self, std::uint64_t handle, double value) {
    const std::lock_guard lock(of(self).mutex_);
    if (handle - 1 < of(self).series_.size()) of(self).series_[handle - 1].second += value;
  };
  metricsTable_.set = [](void *self, std::uint64_t handle, double value) {
    const std::lock_guard lock(of(self).mutex_);
    if (handle - 1 < of(self).series_.size()) of(self).series_[handle - 1].second = value;
  };
}

void FakeHost::fillServices() {
  head(servicesTable_);
  servicesTable_.acquire = [](void *self, mos_str service, mos_str, const void **out, mos_error *error) -> mos_status {
    const std::lock_guard lock(of(self).mutex_);
    const auto found = of(self).offered_.find(std::string(fromAbi(service)));
    if (found == of(self).offered_.end() || found->second == nullptr)
      return fail(error, Status::Unavailable, "nobody offers it");
    *out = found->second;
    return MOS_OK;
  };
  servicesTable_.release = [](void *, const void *, mos_error *) -> mos_status { return MOS_OK; };
  servicesTable_.provide = [](void *self, mos_str service, mos_str instance, const void *table,
                              mos_error *) -> mos_status {
    const std::lock_guard lock(of(self).mutex_);
    of(self).provided_[{std::string(fromAbi(service)), std::string(fromAbi(instance))}] = table;
    return MOS_OK;
  };
  servicesTable_.provide_forwarder = [](void *self, mos_str service, mos_str instance, mos_forwarder_v1 *forwarder,
                                        std::uint32_t minor, mos_error *error) -> mos_status {
    if (fromAbi(service) != MOS_RUNTIME_1) return fail(error, Status::Unimplemented, "this host only knows runtimes");
    const std::lock_guard lock(of(self).mutex_);
    auto &table = of(self).forwarded_.emplace_back();
    for (const mos_function_v1 &function : kRuntime_functions) {
      if (function.minor > minor) break;
      table.entries[table.count++] = function.entry;
    }
    table.size = static_cast<std::uint32_t>(16 + table.count * sizeof table.entries[0]);
    table.minor = minor;
    table.self = forwarder;
    of(self).provided_[{std::string(fromAbi(service)), std::string(fromAbi(instance))}] = &table;
    return MOS_OK;
  };
  servicesTable_.withdraw = [](void *self, mos_str service, mos_str instance, mos_error *) -> mos_status {
    const std::lock_guard lock(of(self).mutex_);
    of(self).provided_.erase({std::string(fromAbi(service)), std::string(fromAbi(instance))});
    return MOS_OK;
  };
}

void FakeHost::set(const std::string &key, const std::string &value) {
  const std::lock_guard lock(mutex_);
  config_[key] = value;
}

std::string FakeHost::get(const std::string &key) const {
  const std::lock_guard lock(mutex_);
  return config_.at(key);
}

void FakeHost::forgetConfig() {
  const std::lock_guard lock(mutex_);
  config_.clear();
}

void FakeHost::setInfo(const std::string &json) {
  const std::lock_guard lock(mutex_);
  info_ = json;
}

void FakeHost::offer(const std::string &service, const void *table) {
  const std::lock_guard lock(mutex_);
  offered_[service] = table;
}

void FakeHost::withhold(const std::string &interfaceId) {
  const std::lock_guard lock(mutex_);
  withheld_.insert(interfaceId);
}

std::vector<FakeHost::Line> FakeHost::lines(std::string_view message) const {
  const std::lock_guard lock(mutex_);
  std::vector<Line> chosen;
  for (const Line &line : lines_) {
    if (message.empty() || line.message == message) chosen.push_back(line);
  }
  return chosen;
}

std::string FakeHost::log() const {
  std::string all;
  for (const Line &line : lines())
    all += line.message + "\n";
  return all;
}

std::string FakeHost::degraded() const {
  const std::lock_guard lock(mutex_);
  return degraded_.empty() ? "" : degraded_.back();
}

std::string FakeHost::everDegraded() const {
  const std::lock_guard lock(mutex_);
  return inLines(degraded_);
}

double FakeHost::metric(const std::string &series) const {
  const std::lock_guard lock(mutex_);
  double sum = 0;
  for (const auto &[name, value] : series_) {
    if (name == series || name.compare(0, series.size() + 1, series + "{") == 0) sum += value;
  }
  return sum;
}

std::vector<std::string> FakeHost::series() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto &[name, value] : series_)
    names.push_back(name);
  return names;
}

std::vector<std::string> FakeHost::topics() const {
  const std::lock_guard lock(mutex_);
  return topics_;
}

} // namespace matrixos::test
