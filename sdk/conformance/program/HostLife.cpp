#include "HostLife.h"

#include <matrixos/call.hpp>
#include <matrixos/host/log.hpp>
#include <matrixos/status.hpp>
#include <matrixos/ulid.hpp>

#include <nlohmann/json.hpp>

#include <iostream>

namespace matrixos::conformance {

mos_status HostLife::enter(void *self, const char *name, mos_error *error, auto &&body) {
  HostLife &life = of(self);
  if (life.ended_) {
    const std::lock_guard lock(life.mutex_);
    if (life.late_.size() < 20) life.late_.emplace_back(name);
    return fail(error, Status::Unavailable, "the plugin has been stopped", "STOPPED");
  }
  return guarded(error, [&] { return body(life); });
}

void HostLife::begin(auto &table) noexcept {
  table.struct_size = sizeof table;
  table.self = this;
}

HostLife::HostLife(HostWork &work, PluginConfig config, HostFacts facts)
    : work_(work), config_(std::move(config)), facts_(std::move(facts)), bootId_(makeUlid()) {
  host_.struct_size = sizeof host_;
  host_.minor = MOS_HOST_MINOR;
  host_.self = this;
  host_.get_interface = [](void *self, const char *id) -> const void * {
    return id == nullptr ? nullptr : of(self).find(id);
  };
  fillConfig();
  fillPlatform();
  fillLog();
  fillMetrics();
  fillEvents();
  fillHttp();
  fillWork();
  fillServices();
}

const void *HostLife::find(const std::string &id) const {
  if (id == MOS_HOST_CONFIG_1) return &configTable_;
  if (id == MOS_HOST_PLATFORM_1) return &platformTable_;
  if (id == MOS_HOST_LOG_1) return &logTable_;
  if (id == MOS_HOST_METRICS_1) return &metricsTable_;
  if (id == MOS_HOST_EVENTS_1) return &eventsTable_;
  if (id == MOS_HOST_HTTP_1) return &httpTable_;
  if (id == MOS_HOST_TIMERS_1) return &timersTable_;
  if (id == MOS_HOST_EXECUTOR_1) return &executorTable_;
  if (id == MOS_HOST_SERVICES_1) return &servicesTable_;
  return nullptr;
}

const mos_runtime_v1 *HostLife::runtime(const std::string &instance) const {
  const std::lock_guard lock(mutex_);
  if (instance.empty() && runtimes_.size() == 1) return runtimes_.begin()->second;
  const auto found = runtimes_.find(instance);
  return found == runtimes_.end() ? nullptr : found->second;
}

std::vector<std::string> HostLife::provided() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto &[name, table] : runtimes_)
    names.push_back(name);
  return names;
}

std::vector<std::string> HostLife::lateCalls() const {
  const std::lock_guard lock(mutex_);
  return late_;
}

std::vector<std::string> HostLife::log() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

const PluginConfig::Value &HostLife::value(mos_str key) const {
  const std::string name(fromAbi(key));
  const PluginConfig::Value *found = config_.find(name);
  if (found == nullptr) throw Error(Status::NotFound, "the plugin declares no key \"" + name + "\"", "UNDECLARED_KEY");
  return *found;
}

void HostLife::fillConfig() {
  begin(configTable_);
  configTable_.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
    return enter(self, "config.get_string", error, [&](HostLife &life) { giveBuffer(out, life.value(key).text); });
  };
  configTable_.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
    return enter(self, "config.get_int", error, [&](HostLife &life) {
      const PluginConfig::Value &value = life.value(key);
      if (value.type != "int" && value.type != "bool" && value.type != "duration" && value.type != "size")
        throw Error(Status::InvalidArgument, "the key \"" + std::string(fromAbi(key)) + "\" is a " + value.type,
                    "WRONG_TYPE");
      *out = value.integer;
    });
  };
  configTable_.get_number = [](void *self, mos_str key, double *out, mos_error *error) {
    return enter(self, "config.get_number", error, [&](HostLife &life) {
      const PluginConfig::Value &value = life.value(key);
      if (value.type != "number" && value.type != "int")
        throw Error(Status::InvalidArgument, "the key \"" + std::string(fromAbi(key)) + "\" is a " + value.type,
                    "WRONG_TYPE");
      *out = value.number;
    });
  };
  configTable_.get_list = [](void *self, mos_str key, mos_sink items, mos_error *error) {
    return enter(self, "config.get_list", error, [&](HostLife &life) {
      for (const std::string &item : life.value(key).list) {
        if (items.item(items.ctx, toAbi(item)) == MOS_SINK_STOP) break;
      }
    });
  };
}

void HostLife::fillPlatform() {
  begin(platformTable_);
  platformTable_.info = [](void *self, mos_buf *out, mos_error *error) {
    return enter(self, "platform.info", error, [&](HostLife &life) {
      const nlohmann::json info{{"installId", life.facts_.installId},
                                {"bootId", life.bootId_},
                                {"node", "conformance"},
                                {"version", "conformance"},
                                {"dataDir", life.facts_.dataDirectory},
                                {"domain", "localhost"},
                                {"apiSocket", ""},
                                {"listeners", nlohmann::json::array()}};
      giveBuffer(out, info.dump());
    });
  };
  platformTable_.set_degraded = [](void *self, mos_str reason, mos_error *error) {
    return enter(self, "platform.set_degraded", error, [&](HostLife &life) {
      if (reason.len != 0) life.writeLog(MOS_LOG_WARNING, "degraded: " + std::string(fromAbi(reason)));
    });
  };
}

void HostLife::writeLog(std::uint32_t level, const std::string &text) {
  static constexpr const char *kLevels[] = {"?", "error", "warning", "info", "debug"};
  const std::string line = std::string(kLevels[level <= MOS_LOG_DEBUG ? level : 0]) + ": " + text;
  const std::lock_guard lock(mutex_);
  if (facts_.verbose) std::cerr << "    [plugin] " << line << std::endl;
  lines_.push_back(line);
  if (lines_.size() > 200) lines_.erase(lines_.begin());
}

void HostLife::fillLog() {
  begin(logTable_);
  logTable_.write = [](void *self, std::uint32_t level, mos_str message, const mos_pair *fields, std::uint32_t count) {
    enter(self, "log.write", nullptr, [&](HostLife &life) {
      std::string text(fromAbi(message));
      for (std::uint32_t i = 0; i < count; ++i)
        text += " " + std::string(fromAbi(fields[i].key)) + "=" + std::string(fromAbi(fields[i].value));
      life.writeLog(level, text);
    });
  };
  logTable_.write_fields = [](void *self, std::uint32_t level, mos_str message, const mos_field *fields,
                              std::uint32_t count) {
    enter(self, "log.write_fields", nullptr, [&](HostLife &life) {
      std::string text(fromAbi(message));
      for (std::uint32_t i = 0; i < count; ++i)
        text += " " + std::string(fromAbi(fields[i].key)) + "=" + fieldText(fields[i]);
      life.writeLog(level, text);
    });
  };
  logTable_.enabled = [](void *self, std::uint32_t level) -> std::int32_t {
    return level <= MOS_LOG_INFO || of(self).facts_.verbose ? 1 : 0;
  };
}

void HostLife::fillMetrics() {
  begin(metricsTable_);
  metricsTable_.series = [](void *self, std::uint32_t type, mos_str name, mos_str, const mos_pair *labels,
                            std::uint32_t count, const double *, std::uint32_t, std::uint64_t *out, mos_error *error) {
    return enter(self, "metrics.series", error, [&](HostLife &life) {
      std::string key(fromAbi(name));
      if (type < MOS_METRIC_COUNTER || type > MOS_METRIC_HISTOGRAM || key.rfind("matrixos_", 0) != 0)
        throw Error(Status::InvalidArgument, "a metric's name starts with matrixos_: " + key, "BAD_METRIC");
      for (std::uint32_t i = 0; i < count; ++i)
        key += "," + std::string(fromAbi(labels[i].key)) + "=" + std::string(fromAbi(labels[i].value));
      const std::lock_guard lock(life.mutex_);
      *out = life.series_.emplace(key, life.series_.size() + 1).first->second;
    });
  };
  metricsTable_.add = [](void *self, std::uint64_t, double) { enter(self, "metrics.add", nullptr, [](HostLife &) {}); };
  metricsTable_.set = [](void *self, std::uint64_t, double) { enter(self, "metrics.set", nullptr, [](HostLife &) {}); };
}

void HostLife::fillEvents() {
  begin(eventsTable_);
  eventsTable_.publish = [](void *self, mos_str, mos_str, mos_error *error) {
    return enter(self, "events.publish", error, [](HostLife &) {});
  };
  eventsTable_.subscribe = [](void *self, mos_str, void (*)(void *, mos_str, mos_str), void *, std::uint64_t *out,
                              mos_error *error) {
    return enter(self, "events.subscribe", error, [&](HostLife &life) {
      const std::lock_guard lock(life.mutex_);
      *out = ++life.subscriptions_;
    });
  };
  eventsTable_.unsubscribe = [](void *self, std::uint64_t, mos_error *error) {
    return enter(self, "events.unsubscribe", error, [](HostLife &) {});
  };
}

void HostLife::fillHttp() {
  httpTable_.struct_size = offsetof(mos_host_http_v1, request); // routes are taken, nobody asks for them
  httpTable_.self = this;
  httpTable_.add_routes = [](void *self, const mos_http_route *, std::uint32_t, mos_error *error) {
    return enter(self, "http.add_routes", error, [](HostLife &) {});
  };
}

void HostLife::fillWork() {
  begin(timersTable_);
  timersTable_.schedule = [](void *self, std::int64_t delay, std::int64_t period, void (*fire)(void *), void *ctx,
                             std::uint64_t *out, mos_error *error) {
    return enter(self, "timers.schedule", error, [&](HostLife &life) {
      *out = life.work_.schedule(std::chrono::milliseconds{delay}, std::chrono::milliseconds{period},
                                 [fire, ctx] { fire(ctx); });
    });
  };
  timersTable_.cancel = [](void *self, std::uint64_t handle, mos_error *error) {
    return enter(self, "timers.cancel", error, [&](HostLife &life) {
      return life.work_.cancel(handle) ? MOS_OK : fail(error, Status::NotFound, "no such timer", "STALE_HANDLE");
    });
  };
  begin(executorTable_);
  executorTable_.submit = [](void *self, void (*run)(void *), void (*)(void *), void *ctx, mos_error *error) {
    return enter(self, "executor.submit", error, [&](HostLife &life) { life.work_.submit([run, ctx] { run(ctx); }); });
  };
}

void HostLife::fillServices() {
  begin(servicesTable_);
  servicesTable_.provide = [](void *self, mos_str service, mos_str instance, const void *table, mos_error *error) {
    return enter(self, "services.provide", error, [&](HostLife &life) {
      const std::lock_guard lock(life.mutex_);
      if (fromAbi(service) == MOS_RUNTIME_1)
        life.runtimes_[std::string(fromAbi(instance))] = static_cast<const mos_runtime_v1 *>(table);
    });
  };
  servicesTable_.withdraw = [](void *self, mos_str service, mos_str instance, mos_error *error) {
    return enter(self, "services.withdraw", error, [&](HostLife &life) {
      {
        const std::lock_guard lock(life.mutex_);
        if (fromAbi(service) == MOS_RUNTIME_1) life.runtimes_.erase(std::string(fromAbi(instance)));
      }
      if (life.drain_) life.drain_();
    });
  };
  servicesTable_.acquire = [](void *self, mos_str service, mos_str, const void **, mos_error *error) {
    return enter(self, "services.acquire", error, [&](HostLife &) {
      return fail(error, Status::Unavailable, "nothing provides " + std::string(fromAbi(service)) + " here",
                  "SERVICE_UNAVAILABLE");
    });
  };
  servicesTable_.release = [](void *self, const void *, mos_error *error) {
    return enter(self, "services.release", error, [](HostLife &) {});
  };
}

} // namespace matrixos::conformance
