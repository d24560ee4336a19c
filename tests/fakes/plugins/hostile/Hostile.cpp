// A runtime plugin without our C++ layer, so that nothing between it and the daemon catches anything. It does one wrong
// thing: in its life, as [fake-hostile] at and fault say, or when it is asked to:
//   GET /fake-hostile/run?at=handle|timer|task|event|thread&fault=…
//   GET /fake-hostile/calls?fault=…      what the functions of its runtime do from now on
//   GET /fake-hostile/sql?how=query|slow-rows|batch&text=…   asks the database, {"status", "message"};
//                                       how=inside: how many of these have not been answered
//   GET /fake-hostile/take?kind=path|topic|metric&name=…     wants what may be another's, {"status", "message"}
// fake-loops is the same with a lifecycle service "hostile" in place of the runtime; its forget() does what calls says.
#include "hostile/Misbehave.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/lifecycle.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/abi/runtime.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

#ifndef FAKE_ID
#define FAKE_ID "fake-hostile"
#endif

namespace {

using hostile::misbehave;

mos_str str(const char *text) {
  return {text, std::strlen(text)};
}
std::string text(mos_str from) {
  return std::string(from.ptr == nullptr ? "" : from.ptr, from.len);
}

struct State {
  const mos_host_config_v1 *config = nullptr;
  const mos_host_log_v1 *log = nullptr;
  const mos_host_http_v1 *http = nullptr;
  const mos_host_timers_v1 *timers = nullptr;
  const mos_host_executor_v1 *executor = nullptr;
  const mos_host_events_v1 *events = nullptr;
  const mos_host_services_v1 *services = nullptr;
  const mos_host_sql_v1 *sql = nullptr;
  const mos_host_metrics_v1 *metrics = nullptr;
  std::string at, fault;
  std::mutex mutex;
  std::string calls;   ///< what the runtime's functions do
  std::string pending; ///< what timer, task or event handler do next
};
// Threads that hang or leak use it for good.
State &state() {
  static auto *state = new State;
  return *state;
}

void set(std::string State::*member, const std::string &value) {
  const std::lock_guard lock(state().mutex);
  state().*member = value;
}
std::string get(std::string State::*member) {
  const std::lock_guard lock(state().mutex);
  return state().*member;
}

void here(const char *where) {
  if (state().at == where) misbehave(state().fault);
}
void pending(void *) {
  misbehave(get(&State::pending));
}

// ------------------------------------------------------------------------------------------------------------ runtime

void misbehaveInCall() {
  misbehave(get(&State::calls));
}

/// A function of the runtime's table: misbehaves, or answers what `Answer` says.
template <typename Function>
struct Call;
template <typename... Args>
struct Call<mos_status (*)(void *, Args...)> {
  static mos_status run(void *, Args... args) {
    const std::string fault = get(&State::calls);
    if (fault == "status") return 4711;
    if (fault == "garbage") return garbage(args...);
    misbehaveInCall();
    give(args...);
    return MOS_OK;
  }

private:
  static void giveOne(mos_buf *out) {
    static char empty[] = "{\"ref\":\"r\",\"volume\":\"v\",\"digest\":\"d\",\"engine\":\"hostile\"}";
    *out = {empty, sizeof empty - 1, nullptr, nullptr};
  }
  template <typename Other>
  static void giveOne(const Other &) {}
  static void give(Args... args) { (giveOne(args), ...); }

  static void garbleOne(mos_buf *out) { out->len = 1ULL << 40U; }
  static void garbleOne(mos_error *error) {
    if (error != nullptr) std::memset(error, 0xff, sizeof *error);
  }
  static void garbleOne(mos_sink sink) { sink.item(sink.ctx, {nullptr, 1000}); }
  template <typename Other>
  static void garbleOne(const Other &) {}
  static mos_status garbage(Args... args) {
    (garbleOne(args), ...);
    return MOS_OK;
  }
};

[[maybe_unused]] mos_runtime_v1 makeRuntime() {
  mos_runtime_v1 table{};
  table.struct_size = sizeof table;
  table.minor = MOS_RUNTIME_1_MINOR;
#define FILL(n, Table, name, letters, flags, minor, types) table.name = &Call<decltype(table.name)>::run;
  MOS_FUNCTIONS_OF_RUNTIME_1(FILL)
#undef FILL
  return table;
}

[[maybe_unused]] mos_lifecycle_v1 makeLifecycle() {
  mos_lifecycle_v1 table{};
  table.struct_size = sizeof table;
  table.ensure_running = [](void *, const mos_call *, mos_str, mos_str, mos_completion done, std::uint64_t *ticket,
                            mos_error *) -> mos_status {
    *ticket = 1;
    std::thread([done] { done.done(done.ctx, MOS_OK, str("{}"), nullptr); }).detach();
    return MOS_OK;
  };
  table.forget = [](void *, std::uint64_t, mos_error *) -> mos_status {
    misbehaveInCall();
    return MOS_OK;
  };
  table.report_activity = [](void *, const mos_activity *, std::uint32_t, mos_error *) -> mos_status { return MOS_OK; };
  table.describe = [](void *, mos_str, mos_buf *, mos_error *) -> mos_status { return MOS_OK; };
  return table;
}

// ------------------------------------------------------------------------------------------------------------- routes

std::string query(std::uint64_t exchange, const char *name) {
  mos_str value{};
  mos_error error{};
  const auto *http = state().http;
  return http->query_param(http->self, exchange, str(name), &value, &error) == MOS_OK ? text(value) : "";
}
void answer(std::uint64_t exchange, const char *json) {
  mos_error error{};
  const auto *http = state().http;
  http->respond(http->self, exchange, 200, str("application/json"), nullptr, 0, str(json), &error);
}
void answer(std::uint64_t exchange, mos_status status, std::string message) {
  std::replace(message.begin(), message.end(), '"', '\'');
  answer(exchange, ("{\"status\":" + std::to_string(status) + ",\"message\":\"" + message + "\"}").c_str());
}

void handleRun(void *, std::uint64_t exchange) {
  State &s = state();
  const std::string at = query(exchange, "at"), fault = query(exchange, "fault");
  set(&State::pending, fault);
  mos_error error{};
  if (at == "handle") misbehave(fault);
  if (at == "timer") {
    std::uint64_t handle = 0;
    s.timers->schedule(s.timers->self, 0, 0, &pending, nullptr, &handle, &error);
  }
  if (at == "task") s.executor->submit(s.executor->self, &pending, nullptr, nullptr, &error);
  if (at == "event") s.events->publish(s.events->self, str("fake.hostile"), str("{}"), &error);
  if (at == "thread") std::thread([fault] { misbehave(fault); }).detach();
  answer(exchange, "{}");
}

void handleCalls(void *, std::uint64_t exchange) {
  set(&State::calls, query(exchange, "fault"));
  answer(exchange, "{}");
}

void handleSql(void *, std::uint64_t exchange) {
  static std::atomic<int> inside{0};
  const auto *sql = state().sql;
  const std::string how = query(exchange, "how"), what = query(exchange, "text");
  if (how == "inside") return answer(exchange, ("{\"status\":" + std::to_string(inside) + "}").c_str());
  const mos_sql_rows rows{nullptr, how == "slow-rows"
                                       ? [](void *, const mos_sql_value *, std::uint32_t) -> std::int32_t {
                                           std::this_thread::sleep_for(std::chrono::milliseconds{get(&State::calls) == "slow" ? 10'000 : 700});
                                           return MOS_SINK_CONTINUE;
                                         }
                                       : [](void *, const mos_sql_value *, std::uint32_t) -> std::int32_t {
                                           return MOS_SINK_CONTINUE;
                                         }};
  const mos_sql_statement statement{{what.data(), what.size()}, nullptr, MOS_SQL_ANY_ROWS, 0, 0};
  mos_error error{};
  ++inside;
  const mos_status status = how == "batch"
                                ? sql->exec_batch(sql->self, &statement, 1, nullptr, &error)
                                : sql->query(sql->self, {what.data(), what.size()}, nullptr, 0, rows, &error);
  --inside;
  answer(exchange, status, error.message);
}

mos_status addRoute(const char *pattern, void (*handle)(void *, std::uint64_t), mos_error *error) {
  mos_http_route route{};
  route.method = str("GET");
  route.permission = str(MOS_PERMISSION_PUBLIC);
  route.summary = str("Misbehaves");
  route.pattern = str(pattern);
  route.handle = handle;
  return state().http->add_routes(state().http->self, &route, 1, error);
}

void handleTake(void *, std::uint64_t exchange) {
  const State &s = state();
  const std::string kind = query(exchange, "kind"), name = query(exchange, "name");
  mos_error error{};
  mos_status status = MOS_NOT_FOUND;
  if (kind == "path") status = addRoute(name.c_str(), &handleTake, &error);
  if (kind == "topic") status = s.events->publish(s.events->self, str(name.c_str()), str("{}"), &error);
  if (kind == "metric") {
    std::uint64_t handle = 0;
    status = s.metrics->series(s.metrics->self, MOS_METRIC_COUNTER, str(name.c_str()), str("mine"), nullptr, 0, nullptr,
                               0, &handle, &error);
    if (status == MOS_OK) s.metrics->add(s.metrics->self, handle, 1e6);
  }
  if (kind == "handles") { // without asking
    for (std::uint64_t generation = 1; generation < 8; ++generation)
      for (std::uint64_t slot = 0; slot < 4096; ++slot)
        s.metrics->add(s.metrics->self, generation << 32U | slot, 1e9);
    status = MOS_OK;
  }
  answer(exchange, status, error.message);
}

void addRoutes() {
  if (state().http == nullptr) return; // isolated
  mos_error error{};
  addRoute("/" FAKE_ID "/run", &handleRun, &error);
  addRoute("/" FAKE_ID "/calls", &handleCalls, &error);
  addRoute("/" FAKE_ID "/sql", &handleSql, &error);
  addRoute("/" FAKE_ID "/take", &handleTake, &error);
}

// ---------------------------------------------------------------------------------------------------------- lifecycle

/// A thread that was never joined, and goes on with what it has.
void leak() {
  std::thread([] {
    State &s = state();
    for (;;) {
      mos_error error{};
      std::uint64_t handle = 0;
      std::int64_t number = 0;
      s.config->get_int(s.config->self, str("number"), &number, &error);
      const mos_status status = s.timers->schedule(s.timers->self, 0, 0, &pending, nullptr, &handle, &error);
      addRoutes();
      if (status == MOS_UNAVAILABLE)
        s.log->write(s.log->self, MOS_LOG_INFO, str("the leaked thread got UNAVAILABLE"), nullptr, 0);
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }).detach();
}

std::string read(const char *key) {
  mos_buf buffer{};
  mos_error error{};
  if (state().config->get_string(state().config->self, str(key), &buffer, &error) != MOS_OK) return {};
  std::string value(buffer.ptr == nullptr ? "" : buffer.ptr, buffer.len);
  if (buffer.release != nullptr) buffer.release(&buffer);
  return value;
}

#ifdef LOOPS
constexpr const char *kService = MOS_LIFECYCLE_1;
const void *makeTable() {
  static const mos_lifecycle_v1 lifecycle = makeLifecycle();
  return &lifecycle;
}
#else
constexpr const char *kService = MOS_RUNTIME_1;
const void *makeTable() {
  static const mos_runtime_v1 runtime = makeRuntime();
  static mos_runtime_v1 small = runtime;
  small.struct_size = 64;
  static const mos_runtime_v1 empty{sizeof(mos_runtime_v1), 0, nullptr};
  return state().at == "small-table" ? &small : state().at == "null-functions" ? &empty : &runtime;
}
#endif

mos_status start(void *, mos_error *) {
  State &s = state();
  here("start");
  mos_error error{};
  const mos_status status = s.services->provide(s.services->self, str(kService), str("hostile"), makeTable(), &error);
  if (status != MOS_OK)
    s.log->write(s.log->self, MOS_LOG_ERROR, {error.message, std::strlen(error.message)}, nullptr, 0);
  addRoutes();
  std::uint64_t handle = 0;
  s.events->subscribe(
      s.events->self, str("fake.hostile"), [](void *ctx, mos_str, mos_str) { pending(ctx); }, nullptr, &handle, &error);
  if (s.at == "leak") leak();
  if (s.at == "leak-quiet") std::thread([] { misbehave("hang"); }).detach();
  return MOS_OK;
}
mos_status stop(void *, mos_error *) {
  here("stop");
  return MOS_OK;
}
void destroy(void *) {
  here("destroy");
}
mos_status reconfigure(void *, mos_error *) {
  here("reconfigure");
  return MOS_OK;
}

template <typename Table>
void acquire(const mos_host_v1 *host, const char *id, const Table *&table) {
  table = static_cast<const Table *>(host->get_interface(host->self, id));
}

mos_status create(const mos_host_v1 *host, mos_plugin_v1 *plugin, mos_error *) {
  State &s = state();
  acquire(host, MOS_HOST_CONFIG_1, s.config);
  acquire(host, MOS_HOST_LOG_1, s.log);
  acquire(host, MOS_HOST_HTTP_1, s.http);
  acquire(host, MOS_HOST_TIMERS_1, s.timers);
  acquire(host, MOS_HOST_EXECUTOR_1, s.executor);
  acquire(host, MOS_HOST_EVENTS_1, s.events);
  acquire(host, MOS_HOST_SERVICES_1, s.services);
  acquire(host, MOS_HOST_SQL_1, s.sql);
  acquire(host, MOS_HOST_METRICS_1, s.metrics);
  s.at = read("at");
  s.fault = read("fault");
  here("create");
  plugin->start = &start;
  plugin->stop = &stop;
  plugin->destroy = &destroy;
  plugin->reconfigure = &reconfigure;
  return MOS_OK;
}

#ifdef CRASHES_WHEN_LOADED
[[gnu::constructor]] void constructor() {
  misbehave("segv");
}
#endif

} // namespace

extern "C" MOS_EXPORT const mos_descriptor_v1 *mos_plugin_entry_v1(void) {
  static const mos_provide provides[] = {{kService, "hostile", 0, 0}};
  static const mos_config_key keys[] = {
      {"at", "string", "", nullptr, "Where it misbehaves.", 0, 0},
      {"fault", "string", "", nullptr, "What it does there.", 0, 0},
      {"number", "int", "1", nullptr, "A number to change.", MOS_KEY_LIVE, 0},
  };
  static const mos_descriptor_v1 descriptor = [] {
    mos_descriptor_v1 d{};
    d.struct_size = sizeof d;
    d.magic = MOS_MAGIC;
    d.abi_major = MOS_ABI_MAJOR;
    d.id = FAKE_ID;
    d.name = "Hostile";
    d.version = "6.6.6";
    d.vendor = "";
    d.license = "MIT";
    d.description = "Misbehaves.";
    d.provides = provides;
    d.provides_count = 1;
    d.config_keys = keys;
    d.config_keys_count = 3;
    d.create = &create;
    return d;
  }();
  return &descriptor;
}
