#include "isolation/host/HostTables.h"

#include "common/HostTable.h"
#include "isolation/host/CrashReporter.h"

#include <matrixos/call.hpp>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace matrixos::isolation::host {

namespace {

constexpr std::size_t kMaxLogText = 64U * 1024U;
constexpr std::chrono::seconds kSweepTimeout{2};
constexpr std::chrono::seconds kWithdrawTimeout{5};

} // namespace

HostTables::HostTables(DaemonLink &link, NeededProxies &needed, EventHandlers &events,
                       const mos_descriptor_v1 &descriptor)
    : link_(link), needed_(needed), handlers_(events), slow_(needed), descriptor_(descriptor), timers_(tasks_),
      samples_(link), provided_(descriptor.provides_count) {
  for (std::uint32_t i = 0; i < descriptor.provides_count; ++i)
    described_.push_back(common::ServiceCatalogue::instance().find(descriptor.provides[i].service));
  host_ = common::hostTable<mos_host_v1>(this);
  host_.get_interface = &HostTables::getInterface;
  fillConfig();
  fillPlatform();
  fillLog();
  fillMetrics();
  fillKv();
  fillEvents();
  fillWork();
  fillServices();
}

const void *HostTables::getInterface(void *self, const char *id) {
  const std::string_view name(id != nullptr ? id : "");
  HostTables &tables = of(self);
  if (name == MOS_HOST_CONFIG_1) return &tables.config_;
  if (name == MOS_HOST_PLATFORM_1) return &tables.platform_;
  if (name == MOS_HOST_LOG_1) return &tables.log_;
  if (name == MOS_HOST_METRICS_1) return &tables.metrics_;
  if (name == MOS_HOST_KV_1) return &tables.kv_;
  if (name == MOS_HOST_OUTBOX_1) return tables.slow_.outbox();
  if (name == MOS_HOST_FETCH_1) return tables.slow_.fetch();
  if (name == MOS_HOST_EVENTS_1) return &tables.events_;
  if (name == MOS_HOST_TIMERS_1) return &tables.timersTable_;
  if (name == MOS_HOST_EXECUTOR_1) return &tables.executorTable_;
  if (name == MOS_HOST_SERVICES_1) return &tables.services_;
  return nullptr;
}

HostTables::ServiceUse::ServiceUse(HostTables &tables, std::size_t slot) : tables_(tables), slot_(slot) {
  const std::lock_guard lock(tables.mutex_);
  if (slot >= tables.provided_.size()) return;
  table_ = tables.provided_[slot].table;
  if (table_ != nullptr) ++tables.provided_[slot].inside;
}

HostTables::ServiceUse::~ServiceUse() {
  if (table_ == nullptr) return;
  const std::lock_guard lock(tables_.mutex_);
  --tables_.provided_[slot_].inside;
  tables_.left_.notify_all();
}

bool HostTables::close() {
  open_.store(false, std::memory_order_release);
  bool ended = needed_.close(kSweepTimeout); // first: a task may wait for a completion
  ended &= timers_.sweep(owner_, kSweepTimeout);
  tasks_.close(owner_);
  ended &= tasks_.waitIdle(owner_, kSweepTimeout);
  ended &= handlers_.close(kSweepTimeout);
  samples_.flush();
  return ended;
}

void HostTables::fillConfig() {
  config_ = common::hostTable<decltype(config_)>(this);
  config_.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::ConfigString, fromAbi(key)),
                  [&](const AnswerFrame &answer) { giveBuffer(out, std::string(answer.text)); });
    });
  };
  config_.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::ConfigInt, fromAbi(key)),
                  [&](const AnswerFrame &answer) { *out = answer.integer; });
    });
  };
  config_.get_number = [](void *self, mos_str key, double *out, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::ConfigNumber, fromAbi(key)),
                  [&](const AnswerFrame &answer) { *out = answer.number; });
    });
  };
  config_.get_list = [](void *self, mos_str key, mos_sink items, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::ConfigList, fromAbi(key)), [&](const AnswerFrame &answer) {
        for (const std::string_view item : answer.list) {
          if (items.item(items.ctx, toAbi(item)) == MOS_SINK_STOP) break;
        }
      });
    });
  };
}

void HostTables::fillPlatform() {
  platform_ = common::hostTable<decltype(platform_)>(this);
  platform_.info = [](void *self, mos_buf *out, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::PlatformInfo),
                  [&](const AnswerFrame &answer) { giveBuffer(out, std::string(answer.text)); });
    });
  };
  platform_.set_degraded = [](void *self, mos_str reason, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::Degraded, fromAbi(reason).substr(0, kMaxWord)), [](const AnswerFrame &) {});
    });
  };
}

void HostTables::fillLog() {
  log_ = common::hostTable<decltype(log_)>(this);
  log_.write = [](void *self, std::uint32_t level, mos_str message, const mos_pair *fields, std::uint32_t count) {
    guarded(nullptr, [&] {
      std::vector<LogField> list(count);
      for (std::uint32_t i = 0; i < count; ++i)
        list[i] = {fromAbi(fields[i].key), fromAbi(fields[i].value)};
      of(self).sendLog(level, message, std::move(list));
    });
  };
  log_.write_fields = [](void *self, std::uint32_t level, mos_str message, const mos_field *fields,
                         std::uint32_t count) {
    guarded(nullptr, [&] {
      std::vector<LogField> list(count);
      for (std::uint32_t i = 0; i < count; ++i)
        list[i] = {fromAbi(fields[i].key), fromAbi(fields[i].text), fields[i].integer, fields[i].real, fields[i].type};
      of(self).sendLog(level, message, std::move(list));
    });
  };
  log_.enabled = [](void *self, std::uint32_t level) -> std::int32_t {
    return level <= of(self).link_.logLevel() ? 1 : 0;
  };
}

void HostTables::sendLog(std::uint32_t level, mos_str message, std::vector<LogField> list) {
  if (level > link_.logLevel()) return;
  LogFrame frame;
  frame.level = level;
  frame.message = fromAbi(message).substr(0, kMaxLogText);
  for (LogField &field : list) {
    field.key = field.key.substr(0, kMaxWord);
    field.text = field.text.substr(0, kMaxLogText);
  }
  frame.list = std::move(list);
  link_.sendIfRoom(frame);
}

void HostTables::fillMetrics() {
  metrics_ = common::hostTable<decltype(metrics_)>(this);
  metrics_.series = [](void *self, std::uint32_t type, mos_str name, mos_str help, const mos_pair *labels,
                       std::uint32_t labelCount, const double *buckets, std::uint32_t bucketCount, std::uint64_t *out,
                       mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      SeriesFrame frame;
      frame.type = type;
      frame.name = fromAbi(name);
      frame.help = fromAbi(help);
      frame.labels = fromPairs(labels, labelCount);
      frame.buckets.assign(buckets, buckets + bucketCount);
      *out = t.samples_.series(frame);
    });
  };
  metrics_.add = [](void *self, std::uint64_t handle, double value) { of(self).samples_.add(handle, value); };
  metrics_.set = [](void *self, std::uint64_t handle, double value) { of(self).samples_.set(handle, value); };
}

void HostTables::fillKv() {
  kv_ = common::hostTable<decltype(kv_)>(this);
  kv_.get = [](void *self, mos_str key, mos_buf *out, std::int64_t *version, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::KvGet, fromAbi(key)), [&](const AnswerFrame &answer) {
        if (version != nullptr) *version = answer.integer;
        giveBuffer(out, std::string(answer.text));
      });
    });
  };
  kv_.put = [](void *self, mos_str key, mos_str value, std::int64_t expected, std::int64_t *version, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::KvPut, fromAbi(key), fromAbi(value), expected), [&](const AnswerFrame &answer) {
        if (version != nullptr) *version = answer.integer;
      });
    });
  };
  kv_.remove = [](void *self, mos_str key, std::int64_t expected, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::KvRemove, fromAbi(key), {}, expected), [](const AnswerFrame &) {});
    });
  };
  kv_.list = [](void *self, mos_str prefix, mos_kv_entries entries, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      std::string after;
      for (bool more = true; more;) {
        t.link_.ask(question(Question::KvList, fromAbi(prefix), after), [&](const AnswerFrame &answer) {
          more = answer.integer != 0 && !answer.entries.empty();
          if (more) after = answer.entries.back().key;
          for (const KvEntry &entry : answer.entries) {
            const mos_kv_entry given{toAbi(entry.key), toAbi(entry.value), entry.version};
            if (entries.entry(entries.ctx, &given) == MOS_SINK_CONTINUE) continue;
            more = false;
            return;
          }
        });
      }
    });
  };
}

void HostTables::fillEvents() {
  events_ = common::hostTable<decltype(events_)>(this);
  events_.publish = [](void *self, mos_str topic, mos_str json, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::Publish, fromAbi(topic), fromAbi(json)), [](const AnswerFrame &) {});
    });
  };
  events_.subscribe = [](void *self, mos_str prefix, void (*event)(void *, mos_str, mos_str), void *ctx,
                         std::uint64_t *out, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) { *out = t.handlers_.subscribe(fromAbi(prefix), event, ctx); });
  };
  events_.unsubscribe = [](void *self, std::uint64_t handle, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) { t.handlers_.unsubscribe(handle); });
  };
}

void HostTables::fillWork() {
  timersTable_ = common::hostTable<decltype(timersTable_)>(this);
  timersTable_.schedule = [](void *self, std::int64_t delay, std::int64_t period, void (*fire)(void *), void *ctx,
                             std::uint64_t *out, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      *out = t.timers_.schedule(t.owner_, std::chrono::milliseconds{delay}, std::chrono::milliseconds{period},
                                [fire, ctx] {
                                  const CrashReporter::Scope scope("a timer");
                                  fire(ctx);
                                });
    });
  };
  timersTable_.cancel = [](void *self, std::uint64_t handle, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) { t.timers_.cancel(t.owner_, handle); });
  };
  executorTable_ = common::hostTable<decltype(executorTable_)>(this);
  executorTable_.submit = [](void *self, void (*run)(void *), void (*drop)(void *), void *ctx, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.tasks_.submit(
          t.owner_,
          [run, ctx] {
            const CrashReporter::Scope scope("a task");
            run(ctx);
          },
          [drop, ctx] {
            if (drop != nullptr) drop(ctx);
          });
    });
  };
}

std::size_t HostTables::slotOf(mos_str service, mos_str instance) const {
  for (std::uint32_t i = 0; i < descriptor_.provides_count; ++i) {
    const mos_provide &provide = descriptor_.provides[i];
    const std::string_view name = provide.instance != nullptr ? provide.instance : "";
    if (fromAbi(service) == provide.service && fromAbi(instance) == name) return i;
  }
  throw Error(Status::FailedPrecondition,
              "the plugin provides " + std::string(fromAbi(service)) + " without saying so in its descriptor");
}

void HostTables::fillServices() {
  services_ = common::hostTable<decltype(services_)>(this);
  services_.provide = [](void *self, mos_str service, mos_str instance, const void *table, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      const std::size_t slot = t.slotOf(service, instance);
      const common::ServiceDescription *described = t.serviceOf(slot);
      struct {
        std::uint32_t size = 0, minor = 0;
      } head;
      if (table != nullptr) std::memcpy(&head, table, sizeof head);
      if (described == nullptr || head.size < described->leastTableSize()) {
        throw Error(Status::InvalidArgument, "the table of " + std::string(fromAbi(service)) + " is too small",
                    "SERVICE_TABLE");
      }
      ProvideFrame frame;
      frame.slot = static_cast<std::uint16_t>(slot);
      frame.minor = head.minor;
      {
        const std::lock_guard lock(t.mutex_);
        t.provided_[slot].table = table;
      }
      t.link_.send(frame);
    });
  };
  services_.withdraw = [](void *self, mos_str service, mos_str instance, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      const std::size_t slot = t.slotOf(service, instance);
      std::unique_lock lock(t.mutex_);
      t.provided_[slot].table = nullptr;
      t.left_.wait_for(lock, kWithdrawTimeout, [&] { return t.provided_[slot].inside == 0; });
    });
  };
  services_.provide_forwarder = [](void *, mos_str, mos_str, mos_forwarder_v1 *, std::uint32_t, mos_error *error) {
    return fail(error, Status::Unimplemented, "a plugin with isolation=process provides tables", "ISOLATED");
  };
  services_.acquire = [](void *self, mos_str service, mos_str instance, const void **out, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) { *out = t.needed_.acquire(fromAbi(service), fromAbi(instance)); });
  };
  services_.release = [](void *self, const void *table, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) { t.needed_.release(table); });
  };
  services_.declared = [](void *self, mos_str service, mos_sink instances, mos_error *error) {
    return hosted(self, error, [&](HostTables &t) {
      t.link_.ask(question(Question::Declared, fromAbi(service)), [&](const AnswerFrame &answer) {
        for (const std::string_view instance : answer.list) {
          if (instances.item(instances.ctx, toAbi(instance)) == MOS_SINK_STOP) break;
        }
      });
    });
  };
}

} // namespace matrixos::isolation::host
