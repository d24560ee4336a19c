#include "TestHost.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <cstdlib>
#include <sstream>
#include <thread>

namespace matrixos::test {

namespace {

storage::SqlValue valueOf(const mos_sql_value &value) {
  switch (value.type) {
  case MOS_SQL_INT:
    return value.integer;
  case MOS_SQL_REAL:
    return value.real;
  case MOS_SQL_TEXT:
    return std::string(fromAbi(value.text));
  default:
    return nullptr;
  }
}

storage::Params paramsOf(const mos_sql_value *values, std::uint32_t count) {
  storage::Params params;
  for (std::uint32_t i = 0; i < count; ++i)
    params.push_back(valueOf(values[i]));
  return params;
}

std::vector<std::string> segmentsOf(const std::string &path) {
  std::vector<std::string> segments;
  std::istringstream in(path);
  for (std::string segment; std::getline(in, segment, '/');) {
    if (!segment.empty()) segments.push_back(segment);
  }
  return segments;
}

} // namespace

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "matrixos-orchestrator-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw Error(Status::Internal, "no temporary directory");
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool eventually(const std::function<bool()> &condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// The tables of the ABI over a TestHost.
struct HostTables {
  static TestHost &of(void *self) { return *static_cast<TestHost *>(self); }

  static mos_status query(void *self, mos_str sql, const mos_sql_value *values, std::uint32_t count, mos_sql_rows rows,
                          mos_error *error) {
    return guarded(error, [&] {
      of(self).database_->query(fromAbi(sql), paramsOf(values, count), [&](const storage::Row &row) {
        std::vector<mos_sql_value> columns(row.size());
        for (std::size_t i = 0; i < row.size(); ++i)
          columns[i] = {row[i].type, 0, row[i].integer, row[i].real, toAbi(row[i].text)};
        return rows.row(rows.ctx, columns.data(), static_cast<std::uint32_t>(columns.size())) == MOS_SINK_CONTINUE;
      });
    });
  }
  static mos_status execBatch(void *self, const mos_sql_statement *list, std::uint32_t count, std::int64_t *changed,
                              mos_error *error) {
    return guarded(error, [&] {
      std::vector<storage::Statement> batch;
      std::string text;
      for (std::uint32_t i = 0; i < count; ++i) {
        batch.push_back(
            {std::string(fromAbi(list[i].sql)), paramsOf(list[i].params, list[i].params_count), list[i].expected_rows});
        text += batch.back().sql + ";";
      }
      std::function<void(const std::string &)> hook;
      {
        const std::lock_guard lock(of(self).mutex_);
        hook = of(self).onBatch_;
      }
      if (hook) hook(text);
      const auto result = of(self).database_->execBatch(batch);
      if (changed != nullptr) std::copy(result.begin(), result.end(), changed);
    });
  }
  static mos_status migrate(void *self, const mos_sql_migration *steps, std::uint32_t count, mos_error *error) {
    return guarded(error, [&] {
      std::vector<storage::Migration> list;
      for (std::uint32_t i = 0; i < count; ++i)
        list.push_back({steps[i].version, std::string(fromAbi(steps[i].name)), std::string(fromAbi(steps[i].sql))});
      of(self).database_->migrate("orchestrator", list);
    });
  }

  static mos_status schedule(void *self, std::int64_t delay, std::int64_t period, void (*fire)(void *), void *ctx,
                             std::uint64_t *out, mos_error *error) {
    return guarded(error, [&] {
      *out = of(self).timers_.schedule(of(self).owner_, std::chrono::milliseconds(delay),
                                       std::chrono::milliseconds(period), [fire, ctx] { fire(ctx); });
    });
  }
  static mos_status cancel(void *self, std::uint64_t handle, mos_error *error) {
    return guarded(error, [&] { of(self).timers_.cancel(handle); });
  }
  static mos_status submit(void *self, void (*run)(void *), void (*drop)(void *), void *ctx, mos_error *error) {
    return guarded(error, [&] {
      of(self).executor_.submit(
          of(self).owner_, [run, ctx] { run(ctx); }, [drop, ctx] { drop(ctx); });
    });
  }

  static mos_status series(void *self, std::uint32_t, mos_str name, mos_str, const mos_pair *labels,
                           std::uint32_t count, const double *, std::uint32_t, std::uint64_t *out, mos_error *) {
    std::string key(fromAbi(name));
    for (std::uint32_t i = 0; i < count; ++i) {
      key += (i == 0 ? "{" : ",") + std::string(fromAbi(labels[i].key)) + "=\"" +
             std::string(fromAbi(labels[i].value)) + "\"" + (i + 1 == count ? "}" : "");
    }
    const std::lock_guard lock(of(self).mutex_);
    *out = of(self).series_.try_emplace(key, of(self).series_.size() + 1).first->second;
    return MOS_OK;
  }
  static void add(void *self, std::uint64_t handle, double value) {
    const std::lock_guard lock(of(self).mutex_);
    of(self).values_[handle] += value;
  }
  static void set(void *self, std::uint64_t handle, double value) {
    const std::lock_guard lock(of(self).mutex_);
    of(self).values_[handle] = value;
  }

  static mos_status addRoutes(void *self, const mos_http_route *routes, std::uint32_t count, mos_error *) {
    const std::lock_guard lock(of(self).mutex_);
    of(self).routes_.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      of(self).routes_.push_back({std::string(fromAbi(routes[i].method)),
                                  segmentsOf(std::string(fromAbi(routes[i].pattern))), routes[i].ctx,
                                  routes[i].handle});
    }
    return MOS_OK;
  }
  static TestHost::Exchange &exchange(void *self, std::uint64_t id) {
    const std::lock_guard lock(of(self).mutex_);
    return *of(self).exchanges_.at(id);
  }
  static mos_status request(void *self, std::uint64_t id, mos_http_request *out, mos_error *) {
    const TestHost::Exchange &it = exchange(self, id);
    out->method = toAbi(it.method);
    out->path = toAbi(it.path);
    out->query = toAbi(it.query);
    out->body = toAbi(it.body);
    return MOS_OK;
  }
  static mos_status param(void *self, std::uint64_t id, mos_str name, mos_str *out, mos_error *error) {
    const auto &params = exchange(self, id).params;
    const auto found = params.find(fromAbi(name));
    if (found == params.end()) return fail(error, Status::NotFound, "no such parameter");
    *out = toAbi(found->second);
    return MOS_OK;
  }
  static mos_status queryParam(void *self, std::uint64_t id, mos_str name, mos_str *out, mos_error *error) {
    const std::string &query = exchange(self, id).query;
    const std::string prefix = std::string(fromAbi(name)) + "=";
    if (query.compare(0, prefix.size(), prefix) != 0) return fail(error, Status::NotFound, "absent", "NO_PARAMETER");
    *out = toAbi(std::string_view(query).substr(prefix.size()));
    return MOS_OK;
  }
  static mos_status respond(void *self, std::uint64_t id, std::uint32_t status, mos_str, const mos_pair *,
                            std::uint32_t, mos_str body, mos_error *) {
    const std::lock_guard lock(of(self).mutex_);
    of(self).exchanges_.at(id)->answer = {status, std::string(fromAbi(body)), true};
    of(self).answered_.notify_all();
    return MOS_OK;
  }
  static mos_status failExchange(void *self, std::uint64_t id, const mos_error *what, mos_error *error) {
    const auto status = static_cast<std::uint32_t>(httpStatus(static_cast<Status>(what->status)));
    return respond(self, id, status, {}, nullptr, 0, toAbi(what->message), error);
  }

  static mos_status publish(void *self, mos_str topic, mos_str, mos_error *) {
    const std::lock_guard lock(of(self).mutex_);
    of(self).topics_.emplace_back(fromAbi(topic));
    return MOS_OK;
  }
  static mos_status setDegraded(void *self, mos_str reason, mos_error *) {
    const std::lock_guard lock(of(self).mutex_);
    of(self).degraded_ = fromAbi(reason);
    return MOS_OK;
  }
  static void writeLog(void *, std::uint32_t level, mos_str message, const mos_pair *fields, std::uint32_t count) {
    static const bool wanted = std::getenv("TEST_LOG") != nullptr;
    if (!wanted) return;
    std::string line = std::to_string(level) + " " + std::string(fromAbi(message));
    for (std::uint32_t i = 0; i < count; ++i)
      line += " " + std::string(fromAbi(fields[i].key)) + "=" + std::string(fromAbi(fields[i].value));
    std::fprintf(stderr, "%s\n", line.c_str());
  }

  mos_host_sql_v1 sql{};
  mos_host_timers_v1 timers{};
  mos_host_executor_v1 executor{};
  mos_host_metrics_v1 metrics{};
  mos_host_http_v1 http{};
  mos_host_events_v1 events{};
  mos_host_platform_v1 platform{};
  mos_host_log_v1 log{};

  explicit HostTables(TestHost *host) {
    sql = {sizeof sql, 0, host, query, execBatch, migrate, [](void *) { return "sqlite"; }};
    timers = {sizeof timers, 0, host, schedule, cancel};
    executor = {sizeof executor, 0, host, submit};
    metrics = {sizeof metrics, 0, host, series, add, set};
    http.struct_size = sizeof http;
    http.self = host;
    http.add_routes = addRoutes;
    http.request = request;
    http.param = param;
    http.query_param = queryParam;
    http.respond = respond;
    http.fail = failExchange;
    events.struct_size = sizeof events;
    events.self = host;
    events.publish = publish;
    platform.struct_size = sizeof platform;
    platform.self = host;
    platform.set_degraded = setDegraded;
    log = {sizeof log, 0, host, writeLog, [](void *, std::uint32_t) -> std::int32_t { return 1; }};
  }

  const void *find(std::string_view id) const {
    if (id == MOS_HOST_SQL_1) return &sql;
    if (id == MOS_HOST_TIMERS_1) return &timers;
    if (id == MOS_HOST_EXECUTOR_1) return &executor;
    if (id == MOS_HOST_METRICS_1) return &metrics;
    if (id == MOS_HOST_HTTP_1) return &http;
    if (id == MOS_HOST_EVENTS_1) return &events;
    if (id == MOS_HOST_PLATFORM_1) return &platform;
    if (id == MOS_HOST_LOG_1) return &log;
    return nullptr;
  }
};

TestHost::TestHost(const std::filesystem::path &database)
    : database_(std::make_unique<storage::Database>(storage::DatabaseOptions{database, std::chrono::seconds(5)})),
      owner_(common::makeOwner()), timers_(executor_) {
  abi_.struct_size = sizeof abi_;
  abi_.self = new HostTables(this);
  abi_.get_interface = [](void *self, const char *id) { return static_cast<HostTables *>(self)->find(id); };
}

TestHost::~TestHost() {
  executor_.stop(std::chrono::seconds(10));
  delete static_cast<HostTables *>(abi_.self);
}

void TestHost::onBatch(std::function<void(const std::string &)> hook) {
  const std::lock_guard lock(mutex_);
  onBatch_ = std::move(hook);
}

const TestHost::Route *TestHost::match(const Exchange &exchange,
                                       std::map<std::string, std::string, std::less<>> &params) const {
  const auto parts = segmentsOf(exchange.path);
  for (const Route &route : routes_) {
    if (route.method != exchange.method || route.segments.size() != parts.size()) continue;
    bool fits = true;
    params.clear();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (route.segments[i][0] == ':')
        params[route.segments[i].substr(1)] = parts[i];
      else
        fits = fits && route.segments[i] == parts[i];
    }
    if (fits) return &route;
  }
  return nullptr;
}

std::uint64_t TestHost::send(const std::string &method, const std::string &path, const std::string &body) {
  auto exchange = std::make_unique<Exchange>();
  const std::size_t mark = path.find('?');
  exchange->method = method;
  exchange->path = path.substr(0, mark);
  if (mark != std::string::npos) exchange->query = path.substr(mark + 1);
  exchange->body = body;
  const Route *route = nullptr;
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    route = match(*exchange, exchange->params);
    if (route == nullptr) throw Error(Status::NotFound, "no route for " + method + " " + path);
    id = nextExchange_++;
    exchanges_.emplace(id, std::move(exchange));
  }
  route->handle(route->ctx, id);
  return id;
}

Answer TestHost::answerTo(std::uint64_t exchange) {
  std::unique_lock lock(mutex_);
  const Exchange &it = *exchanges_.at(exchange);
  answered_.wait_for(lock, std::chrono::seconds(30), [&] { return it.answer.given; });
  return it.answer;
}

Answer TestHost::request(const std::string &method, const std::string &path, const std::string &body) {
  return answerTo(send(method, path, body));
}

std::vector<std::string> TestHost::topics() const {
  const std::lock_guard lock(mutex_);
  return topics_;
}

std::string TestHost::degraded() const {
  const std::lock_guard lock(mutex_);
  return degraded_;
}

double TestHost::metric(const std::string &series) const {
  const std::lock_guard lock(mutex_);
  const auto found = series_.find(series);
  if (found == series_.end()) return 0;
  const auto value = values_.find(found->second);
  return value == values_.end() ? 0 : value->second;
}

} // namespace matrixos::test
