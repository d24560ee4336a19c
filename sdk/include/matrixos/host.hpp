/// matrixos/host.hpp: the host's interfaces (abi/host.h) as C++ objects that throw matrixos::Error.
///
/// Every class is a thin view over a table of the host: copyable, thread-safe where the table is, valid from create()
/// until the plugin is destroyed. What each function does, and how it fails, is said in abi/host.h.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

namespace detail {

/// The table behind `id`, or an Error that names what this host lacks.
template <typename Table>
const Table *hostTable(const mos_host_v1 *host, const char *id) {
  const auto *table = static_cast<const Table *>(host->get_interface(host->self, id));
  if (table == nullptr) throw Error(Status::FailedPrecondition, std::string("this host offers no ") + id);
  return table;
}

} // namespace detail

/// The plugin's section of the configuration.
class Config {
public:
  explicit Config(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_config_v1>(host, MOS_HOST_CONFIG_1)) {}

  std::string getString(std::string_view key) const {
    Buffer out;
    check([&](mos_error *e) { return table_->get_string(table_->self, toAbi(key), out.out(), e); });
    return out.str();
  }
  /// int, bool, duration (milliseconds) and size (bytes) keys.
  std::int64_t getInt(std::string_view key) const {
    std::int64_t out = 0;
    check([&](mos_error *e) { return table_->get_int(table_->self, toAbi(key), &out, e); });
    return out;
  }
  bool getBool(std::string_view key) const { return getInt(key) != 0; }
  std::chrono::milliseconds getDuration(std::string_view key) const { return std::chrono::milliseconds{getInt(key)}; }
  double getNumber(std::string_view key) const {
    double out = 0;
    check([&](mos_error *e) { return table_->get_number(table_->self, toAbi(key), &out, e); });
    return out;
  }
  std::vector<std::string> getList(std::string_view key) const {
    std::vector<std::string> items;
    SinkOf sink([&](std::string_view item) {
      items.emplace_back(item);
      return true;
    });
    check([&](mos_error *e) { return table_->get_list(table_->self, toAbi(key), sink.abi(), e); });
    sink.rethrow();
    return items;
  }

private:
  const mos_host_config_v1 *table_;
};

/// Facts about the daemon.
class Platform {
public:
  explicit Platform(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_platform_v1>(host, MOS_HOST_PLATFORM_1)) {}

  /// JSON, see abi/host.h.
  std::string info() const {
    Buffer out;
    check([&](mos_error *e) { return table_->info(table_->self, out.out(), e); });
    return out.str();
  }
  /// An empty reason: all is well again.
  void setDegraded(std::string_view reason) const noexcept {
    table_->set_degraded(table_->self, toAbi(reason), nullptr);
  }

private:
  const mos_host_platform_v1 *table_;
};

/// A field of a log line.
using Field = std::pair<std::string_view, std::string>;

/// The plugin's log. Never throws.
class Log {
public:
  explicit Log(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_log_v1>(host, MOS_HOST_LOG_1)) {}

  void error(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_ERROR, text, fields);
  }
  void warning(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_WARNING, text, fields);
  }
  void info(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    write(MOS_LOG_INFO, text, fields);
  }
  void debug(std::string_view text, std::initializer_list<Field> fields = {}) const noexcept {
    if (table_->enabled(table_->self, MOS_LOG_DEBUG) != 0) write(MOS_LOG_DEBUG, text, fields);
  }
  bool enabled(std::uint32_t level) const noexcept { return table_->enabled(table_->self, level) != 0; }

private:
  static constexpr std::size_t kMaxFields = 16;

  void write(std::uint32_t level, std::string_view text, std::initializer_list<Field> fields) const noexcept {
    mos_pair pairs[kMaxFields];
    std::uint32_t count = 0;
    for (const Field &field : fields) {
      if (count == kMaxFields) break;
      pairs[count++] = mos_pair{toAbi(field.first), toAbi(field.second)};
    }
    table_->write(table_->self, level, toAbi(text), pairs, count);
  }

  const mos_host_log_v1 *table_;
};

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

/// A parameter of a statement. Text is borrowed: it has to outlive the statement's execution.
class SqlParam {
public:
  SqlParam(std::nullptr_t) noexcept { value_.type = MOS_SQL_NULL; } // NOLINT: implicit on purpose, lists of values
  SqlParam(std::int64_t value) noexcept {                           // NOLINT
    value_.type = MOS_SQL_INT;
    value_.integer = value;
  }
  SqlParam(int value) noexcept : SqlParam(static_cast<std::int64_t>(value)) {} // NOLINT
  SqlParam(double value) noexcept {                                            // NOLINT
    value_.type = MOS_SQL_REAL;
    value_.real = value;
  }
  SqlParam(std::string_view text) noexcept { // NOLINT
    value_.type = MOS_SQL_TEXT;
    value_.text = toAbi(text);
  }
  SqlParam(const std::string &text) noexcept : SqlParam(std::string_view(text)) {} // NOLINT
  SqlParam(const char *text) noexcept : SqlParam(std::string_view(text)) {}        // NOLINT
  const mos_sql_value &abi() const noexcept { return value_; }

private:
  mos_sql_value value_{};
};

/// A row of an answer, borrowed for the callback.
class SqlRow {
public:
  SqlRow(const mos_sql_value *columns, std::uint32_t count) noexcept : columns_(columns), count_(count) {}

  std::uint32_t size() const noexcept { return count_; }
  bool isNull(std::uint32_t column) const { return at(column).type == MOS_SQL_NULL; }
  /// 0 for NULL.
  std::int64_t integer(std::uint32_t column) const {
    const mos_sql_value &value = at(column);
    return value.type == MOS_SQL_REAL ? static_cast<std::int64_t>(value.real) : value.integer;
  }
  double real(std::uint32_t column) const {
    const mos_sql_value &value = at(column);
    return value.type == MOS_SQL_INT ? static_cast<double>(value.integer) : value.real;
  }
  /// "" for NULL.
  std::string text(std::uint32_t column) const { return std::string(fromAbi(at(column).text)); }

private:
  const mos_sql_value &at(std::uint32_t column) const {
    if (column >= count_) throw Error(Status::OutOfRange, "the query has no column " + std::to_string(column));
    return columns_[column];
  }

  const mos_sql_value *columns_;
  std::uint32_t count_;
};

/// A statement of a batch. Text and parameters are borrowed until execBatch() returns.
struct SqlStatement {
  std::string_view sql;
  std::vector<SqlParam> params;
  std::int64_t expectedRows = MOS_SQL_ANY_ROWS;
};

/// One step of the plugin's schema; text has to be static.
struct SqlMigration {
  std::uint32_t version;
  std::string_view name;
  std::string_view sql;
};

/// The platform's database.
class Sql {
public:
  explicit Sql(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_sql_v1>(host, MOS_HOST_SQL_1)) {}

  /// Calls `row` for each row. What it throws ends the query and is thrown on.
  void query(std::string_view sql, const std::vector<SqlParam> &params,
             const std::function<void(const SqlRow &)> &row) const {
    const std::vector<mos_sql_value> values = toValues(params);
    struct Context {
      const std::function<void(const SqlRow &)> *row;
      std::exception_ptr failure;
    } context{&row, nullptr};
    const mos_sql_rows rows{&context, [](void *ctx, const mos_sql_value *columns, std::uint32_t count) -> std::int32_t {
                              auto *self = static_cast<Context *>(ctx);
                              try {
                                (*self->row)(SqlRow(columns, count));
                                return MOS_SINK_CONTINUE;
                              } catch (...) {
                                self->failure = std::current_exception();
                                return MOS_SINK_STOP;
                              }
                            }};
    check([&](mos_error *e) {
      return table_->query(table_->self, toAbi(sql), values.data(), static_cast<std::uint32_t>(values.size()), rows, e);
    });
    if (context.failure) std::rethrow_exception(context.failure);
  }

  /// All or nothing, durable on return. Gives the rows that each statement changed.
  std::vector<std::int64_t> execBatch(const std::vector<SqlStatement> &statements) const {
    std::vector<std::vector<mos_sql_value>> values;
    std::vector<mos_sql_statement> batch;
    values.reserve(statements.size());
    for (const SqlStatement &statement : statements) {
      values.push_back(toValues(statement.params));
      batch.push_back({toAbi(statement.sql), values.back().data(), statement.expectedRows,
                       static_cast<std::uint32_t>(values.back().size()), 0});
    }
    std::vector<std::int64_t> changed(statements.size());
    check([&](mos_error *e) {
      return table_->exec_batch(table_->self, batch.data(), static_cast<std::uint32_t>(batch.size()), changed.data(),
                                e);
    });
    return changed;
  }

  void migrate(const std::vector<SqlMigration> &steps) const {
    std::vector<mos_sql_migration> list;
    for (const SqlMigration &step : steps)
      list.push_back({step.version, 0, toAbi(step.name), toAbi(step.sql)});
    check([&](mos_error *e) {
      return table_->migrate(table_->self, list.data(), static_cast<std::uint32_t>(list.size()), e);
    });
  }

  std::string_view dialect() const noexcept { return table_->dialect(table_->self); }

private:
  static std::vector<mos_sql_value> toValues(const std::vector<SqlParam> &params) {
    std::vector<mos_sql_value> values;
    values.reserve(params.size());
    for (const SqlParam &param : params)
      values.push_back(param.abi());
    return values;
  }

  const mos_host_sql_v1 *table_;
};

/// Announcements between plugins. Subscriptions last until unsubscribe() or the Events object's end.
class Events {
public:
  using Handler = std::function<void(std::string_view topic, std::string_view json)>;

  explicit Events(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_events_v1>(host, MOS_HOST_EVENTS_1)) {}
  Events(const Events &) = delete;
  Events &operator=(const Events &) = delete;
  ~Events() { unsubscribeAll(); }

  void publish(std::string_view topic, std::string_view json) const {
    check([&](mos_error *e) { return table_->publish(table_->self, toAbi(topic), toAbi(json), e); });
  }
  /// Not thread-safe against itself; call it from start(). The handler must not throw.
  void subscribe(std::string_view topicPrefix, Handler handler) {
    Subscription &entry = subscriptions_.emplace_back();
    entry.handler = std::move(handler);
    try {
      check([&](mos_error *e) {
        return table_->subscribe(
            table_->self, toAbi(topicPrefix),
            [](void *ctx, mos_str topic, mos_str json) {
              (*static_cast<Handler *>(ctx))(fromAbi(topic), fromAbi(json));
            },
            &entry.handler, &entry.handle, e);
      });
    } catch (...) {
      subscriptions_.pop_back();
      throw;
    }
  }
  /// Waits for running handlers.
  void unsubscribeAll() noexcept {
    for (Subscription &entry : subscriptions_)
      table_->unsubscribe(table_->self, entry.handle, nullptr);
    subscriptions_.clear();
  }

private:
  struct Subscription {
    Handler handler;
    std::uint64_t handle = 0;
  };

  const mos_host_events_v1 *table_;
  std::list<Subscription> subscriptions_;
};

/// One request to the plugin's routes and the duty to answer it. Movable to another thread. Destroyed without an
/// answer it answers 500.
class Exchange {
public:
  Exchange(const mos_host_http_v1 *table, std::uint64_t id) noexcept : table_(table), id_(id) {}
  Exchange(Exchange &&other) noexcept : table_(other.table_), id_(std::exchange(other.id_, 0)) {}
  Exchange &operator=(Exchange &&) = delete;
  ~Exchange() {
    if (id_ != 0) fail(Error(Status::Internal, "the plugin gave no answer"));
  }

  std::string_view method() const { return fromAbi(request().method); }
  std::string_view path() const { return fromAbi(request().path); }
  std::string_view body() const { return fromAbi(request().body); }
  std::string_view principal() const { return fromAbi(request().principal); }
  std::string_view requestId() const { return fromAbi(request().request_id); }

  std::string_view param(std::string_view name) const {
    mos_str out{};
    check([&](mos_error *e) { return table_->param(table_->self, id_, toAbi(name), &out, e); });
    return fromAbi(out);
  }
  std::optional<std::string_view> queryParam(std::string_view name) const {
    mos_str out{};
    if (table_->query_param(table_->self, id_, toAbi(name), &out, nullptr) != MOS_OK) return std::nullopt;
    return fromAbi(out);
  }
  std::optional<std::string_view> header(std::string_view name) const {
    mos_str out{};
    if (table_->header(table_->self, id_, toAbi(name), &out, nullptr) != MOS_OK) return std::nullopt;
    return fromAbi(out);
  }
  bool gone() const noexcept { return table_->gone(table_->self, id_) != 0; }
  /// Still to be answered through this object.
  bool open() const noexcept { return id_ != 0; }

  /// The whole answer, as application/json. A client that has gone meanwhile is no error.
  void json(std::uint32_t status, std::string_view body) noexcept {
    respond(status, "application/json; charset=utf-8", body);
  }
  void respond(std::uint32_t status, std::string_view contentType, std::string_view body) noexcept {
    const std::uint64_t id = std::exchange(id_, 0);
    table_->respond(table_->self, id, status, toAbi(contentType), nullptr, 0, toAbi(body), nullptr);
  }
  /// application/problem+json with the HTTP status that belongs to error.status().
  void fail(const Error &error) noexcept {
    mos_error what{};
    v1::fail(&what, error.status(), error.what(), error.reason(), error.retryAfterMs());
    failWith(what);
  }
  void failWith(const mos_error &what) noexcept { table_->fail(table_->self, std::exchange(id_, 0), &what, nullptr); }

  /// A streamed answer: begin, any number of writes, end.
  void begin(std::uint32_t status, std::string_view contentType) {
    check([&](mos_error *e) { return table_->begin(table_->self, id_, status, toAbi(contentType), nullptr, 0, e); });
  }
  /// Blocks while the client is slow. Throws Error(Cancelled) once it has gone.
  void write(std::string_view bytes) {
    check([&](mos_error *e) { return table_->write(table_->self, id_, toAbi(bytes), e); });
  }
  void end() noexcept {
    const std::uint64_t id = std::exchange(id_, 0);
    table_->end(table_->self, id, nullptr);
  }

private:
  mos_http_request request() const {
    mos_http_request out{};
    out.struct_size = sizeof out;
    check([&](mos_error *e) { return table_->request(table_->self, id_, &out, e); });
    return out;
  }

  const mos_host_http_v1 *table_;
  std::uint64_t id_;
};

/// The plugin's routes. Keep it alive until the plugin is destroyed: requests in flight refer to it.
class Routes {
public:
  /// Answers the exchange, or moves it away to answer later, from any thread. What it throws becomes the answer,
  /// unless the exchange was moved away.
  using Handler = std::function<void(Exchange &)>;
  static constexpr std::uint64_t kDefaultMaxBody = 64 * 1024;

  explicit Routes(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_http_v1>(host, MOS_HOST_HTTP_1)) {}
  Routes(const Routes &) = delete;
  Routes &operator=(const Routes &) = delete;

  /// Notes a route; publish() registers all of them.
  Routes &add(std::string method, std::string pattern, std::string permission, std::string summary, Handler handler,
              std::uint64_t maxBody = kDefaultMaxBody) {
    entries_.push_back({table_, std::move(method), std::move(pattern), std::move(permission), std::move(summary),
                        std::move(handler), maxBody});
    return *this;
  }

  void publish() {
    std::vector<mos_http_route> list;
    for (Entry &entry : entries_) {
      list.push_back({toAbi(entry.method), toAbi(entry.pattern), toAbi(entry.permission), toAbi(entry.summary),
                      entry.maxBody, &entry, &Routes::serve});
    }
    check([&](mos_error *e) {
      return table_->add_routes(table_->self, list.data(), static_cast<std::uint32_t>(list.size()), e);
    });
  }

private:
  struct Entry {
    const mos_host_http_v1 *table;
    std::string method, pattern, permission, summary;
    Handler handler;
    std::uint64_t maxBody;
  };

  static void serve(void *ctx, std::uint64_t id) noexcept {
    const auto *entry = static_cast<const Entry *>(ctx);
    Exchange exchange(entry->table, id);
    mos_error error{};
    const mos_status status = guarded(&error, [&] { entry->handler(exchange); });
    if (status != MOS_OK && exchange.open()) exchange.failWith(error);
  }

  const mos_host_http_v1 *table_;
  std::list<Entry> entries_;
};

/// Timers of the plugin; all end with the object.
class Timers {
public:
  explicit Timers(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_timers_v1>(host, MOS_HOST_TIMERS_1)) {}
  Timers(const Timers &) = delete;
  Timers &operator=(const Timers &) = delete;
  ~Timers() { cancelAll(); }

  /// Runs `fire` every `period`, first after `period`. Not thread-safe against itself; call it from start().
  void every(std::chrono::milliseconds period, std::function<void()> fire) {
    Timer &timer = timers_.emplace_back();
    timer.fire = std::move(fire);
    try {
      check([&](mos_error *e) {
        return table_->schedule(
            table_->self, period.count(), period.count(),
            [](void *ctx) {
              const auto *self = static_cast<Timer *>(ctx);
              guarded(nullptr, [&] { self->fire(); });
            },
            &timer, &timer.handle, e);
      });
    } catch (...) {
      timers_.pop_back();
      throw;
    }
  }
  /// Waits for running callbacks.
  void cancelAll() noexcept {
    for (Timer &timer : timers_)
      table_->cancel(table_->self, timer.handle, nullptr);
    timers_.clear();
  }

private:
  struct Timer {
    std::function<void()> fire;
    std::uint64_t handle = 0;
  };

  const mos_host_timers_v1 *table_;
  std::list<Timer> timers_;
};

/// Threads of the host on which blocking is allowed.
class Executor {
public:
  explicit Executor(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_executor_v1>(host, MOS_HOST_EXECUTOR_1)) {}

  /// Runs `task` soon, or destroys it unrun when the plugin stops first. Throws Error(ResourceExhausted) when the
  /// queue is full. What the task throws is swallowed: it has to deal with its failures itself.
  void submit(std::function<void()> task) const {
    auto owned = std::make_unique<std::function<void()>>(std::move(task));
    check([&](mos_error *e) {
      return table_->submit(
          table_->self,
          [](void *ctx) {
            const std::unique_ptr<std::function<void()>> self(static_cast<std::function<void()> *>(ctx));
            guarded(nullptr, [&] { (*self)(); });
          },
          [](void *ctx) { delete static_cast<std::function<void()> *>(ctx); }, owned.get(), e);
    });
    static_cast<void>(owned.release()); // run or drop deletes it
  }

private:
  const mos_host_executor_v1 *table_;
};

/// Services of other plugins, and the plugin's own.
class Services {
public:
  explicit Services(const mos_host_v1 *host)
      : table_(detail::hostTable<mos_host_services_v1>(host, MOS_HOST_SERVICES_1)) {}

  void provide(std::string_view service, std::string_view instance, const void *table) const {
    check([&](mos_error *e) { return table_->provide(table_->self, toAbi(service), toAbi(instance), table, e); });
  }
  void withdraw(std::string_view service, std::string_view instance) const noexcept {
    table_->withdraw(table_->self, toAbi(service), toAbi(instance), nullptr);
  }
  /// The table, a proxy of the host. Throws Error(Unavailable) when nobody offers it now.
  template <typename Table>
  const Table *acquire(std::string_view service, std::string_view instance = {}) const {
    const void *out = nullptr;
    check([&](mos_error *e) { return table_->acquire(table_->self, toAbi(service), toAbi(instance), &out, e); });
    return static_cast<const Table *>(out);
  }

private:
  const mos_host_services_v1 *table_;
};

} // namespace v1
} // namespace matrixos
