#include "storage/SqliteConnection.h"

#include "storage/Access.h"
#include "storage/RunLimit.h"
#include "storage/SqliteError.h"

#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/Utility.h>
#include <Poco/Data/Session.h>
#include <Poco/Exception.h>
#include <sqlite3.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

namespace matrixos::storage {
namespace {

/// Statements kept prepared per connection; the platform and its plugins have well below a hundred.
constexpr std::size_t kCachedStatements = 128;
/// Steps of SQLite's machine, some nanoseconds each, after which it asks whether to go on.
constexpr int kStepsBetweenLooks = 4000;
/// Poco repeats a failed open for this long; the lock wait is set apart.
constexpr std::size_t kOpenTimeoutSeconds = 1;

/// What a statement is called in messages: its first line, cut.
std::string nameOf(std::string_view sql) {
  constexpr std::size_t kLongest = 80;
  const auto cut = sql.substr(0, std::min(sql.find('\n'), kLongest));
  return "SQL \"" + std::string(cut) + (cut.size() < sql.size() ? "…\"" : "\"");
}

bool isBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n;") == std::string_view::npos;
}

} // namespace

/// For whom statements are prepared. They may be prepared anew while they run, so it lasts until they are done.
class SqliteConnection::As {
public:
  As(SqliteConnection &connection, TableGuard::Principal principal)
      : guard_(connection.guard_), before_(guard_.replace(std::move(principal))) {}
  ~As() { guard_.replace(std::move(before_)); }
  As(const As &) = delete;
  As &operator=(const As &) = delete;

private:
  TableGuard &guard_;
  TableGuard::Principal before_;
};

/// A prepared statement out of the cache, for one use. What was prepared for one owner is never run for another.
class SqliteConnection::StatementUse {
public:
  StatementUse(SqliteConnection &connection, std::string_view sql) : connection_(connection) {
    const TableGuard::Principal &principal = connection.guard_.principal();
    std::string key = principal.trusted ? "*\n" : principal.owner + "\n";
    const std::size_t front = key.size();
    key += sql;
    if (const auto found = connection.byKey_.find(key); found != connection.byKey_.end()) {
      const auto at = found->second;
      connection.byKey_.erase(found);
      cached_ = std::move(*at);
      connection.cache_.erase(at);
      connection.guard_.begin(cached_.changesSchema);
      return;
    }
    cached_.key = std::move(key);
    const std::string_view text = std::string_view(cached_.key).substr(front);
    const char *rest = nullptr;
    cached_.statement = connection.prepare(text, &rest, SQLITE_PREPARE_PERSISTENT);
    cached_.changesSchema = connection.guard_.changesSchema();
    const std::string_view tail(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
    if (cached_.statement == nullptr || !isBlank(tail)) {
      sqlite3_finalize(cached_.statement);
      throw Error(Status::InvalidArgument, nameOf(sql) + ": exactly one statement is expected", "BAD_SQL");
    }
  }
  ~StatementUse() {
    sqlite3_reset(cached_.statement);
    sqlite3_clear_bindings(cached_.statement);
    connection_.keep(std::move(cached_));
  }
  StatementUse(const StatementUse &) = delete;
  StatementUse &operator=(const StatementUse &) = delete;

  sqlite3_stmt *get() const { return cached_.statement; }

private:
  SqliteConnection &connection_;
  Cached cached_;
};

SqliteConnection::SqliteConnection(const std::filesystem::path &file, Role role, std::chrono::milliseconds busyTimeout,
                                   const TableOwners &owners)
    : guard_(owners) {
  static std::once_flag registered;
  std::call_once(registered, [] { Poco::Data::SQLite::Connector::registerConnector(); });
  try {
    session_ =
        std::make_unique<Poco::Data::Session>(Poco::Data::SQLite::Connector::KEY, file.string(), kOpenTimeoutSeconds);
    db_ = Poco::Data::SQLite::Utility::dbHandle(*session_);
  } catch (const Poco::Exception &e) {
    throw Error(Status::Unavailable,
                "the database " + file.string() + " cannot be opened: " + e.displayText() +
                    "; check the owner and mode of the file and its folder",
                "DB_IO", 5000);
  }
  configure(role, busyTimeout);
}

SqliteConnection::~SqliteConnection() {
  for (Cached &cached : cache_)
    sqlite3_finalize(cached.statement);
}

void SqliteConnection::configure(Role role, std::chrono::milliseconds busyTimeout) {
  sqlite3_busy_timeout(db_, static_cast<int>(std::min<std::int64_t>(busyTimeout.count(), 3'600'000)));
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_set_authorizer(db_, &SqliteConnection::authorize, this);
  sqlite3_progress_handler(db_, kStepsBetweenLooks, &SqliteConnection::goOn, this);
  run("PRAGMA foreign_keys=ON");
  run("PRAGMA temp_store=MEMORY");
  if (role == Role::Reader) {
    // Only the writer may checkpoint: SQLite before 3.51.3 can lose pages when two connections do at once.
    sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    run("PRAGMA query_only=ON");
    return;
  }
  std::string mode;
  queryTrusted("PRAGMA journal_mode=WAL", {}, [&](const Row &row) {
    mode = row.text(0);
    return true;
  });
  if (mode != "wal") {
    throw Error(Status::FailedPrecondition, "the database cannot use a write-ahead log here (journal mode is " + mode +
                                                "); put platform.data_dir on a local disk");
  }
  run("PRAGMA synchronous=FULL");
  run("PRAGMA journal_size_limit=67108864");
}

sqlite3_stmt *SqliteConnection::prepare(std::string_view sql, const char **rest, unsigned flags) {
  if (sql.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(Status::InvalidArgument, "the SQL text is too long", "BAD_SQL");
  }
  sqlite3_stmt *statement = nullptr;
  guard_.begin();
  check(sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), flags, &statement, rest), nameOf(sql));
  return statement;
}

void SqliteConnection::check(int code, const std::string &what) const {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
  // A refusal comes under several codes: one while the schema is not loaded yet as that of a changed schema.
  guard_.check(what);
  if (limit_ != nullptr && limit_->wasReached()) limit_->raise(what);
  throwSqlite(db_, code, what);
}

/// Puts a statement back; one that cannot be kept is freed.
void SqliteConnection::keep(Cached cached) noexcept {
  sqlite3_stmt *const statement = cached.statement;
  if (byKey_.count(cached.key) != 0) { // used twice at once: one copy is enough
    sqlite3_finalize(statement);
    return;
  }
  try {
    cache_.push_front(std::move(cached));
  } catch (const std::bad_alloc &) {
    sqlite3_finalize(statement);
    return;
  }
  try {
    byKey_.emplace(cache_.front().key, cache_.begin());
  } catch (const std::bad_alloc &) {
    cache_.pop_front();
    sqlite3_finalize(statement);
    return;
  }
  if (cache_.size() <= kCachedStatements) return;
  byKey_.erase(cache_.back().key);
  sqlite3_finalize(cache_.back().statement);
  cache_.pop_back();
}

void SqliteConnection::bind(sqlite3_stmt *statement, const Params &params) {
  const std::string name = nameOf(sqlite3_sql(statement));
  if (static_cast<std::size_t>(sqlite3_bind_parameter_count(statement)) != params.size()) {
    throw Error(Status::InvalidArgument,
                name + " takes " + std::to_string(sqlite3_bind_parameter_count(statement)) + " parameters, not " +
                    std::to_string(params.size()),
                "BAD_SQL");
  }
  for (std::size_t i = 0; i < params.size(); ++i) {
    const int at = static_cast<int>(i) + 1;
    // The texts outlive the use of the statement: its lease clears the bindings before the call returns.
    const int code = std::visit(
        [&](const auto &value) {
          using Type = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<Type, std::nullptr_t>)
            return sqlite3_bind_null(statement, at);
          else if constexpr (std::is_same_v<Type, std::int64_t>)
            return sqlite3_bind_int64(statement, at, value);
          else if constexpr (std::is_same_v<Type, double>)
            return sqlite3_bind_double(statement, at, value);
          else if constexpr (std::is_same_v<Type, std::string>)
            return sqlite3_bind_text64(statement, at, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
          else
            return sqlite3_bind_blob64(statement, at, value.bytes.data(), value.bytes.size(), SQLITE_STATIC);
        },
        params[i].data);
    check(code, name);
  }
}

void SqliteConnection::readRows(sqlite3_stmt *statement, const RowFn &row) {
  std::vector<Column> columns(static_cast<std::size_t>(sqlite3_column_count(statement)));
  for (;;) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) return;
    if (code != SQLITE_ROW) check(code, nameOf(sqlite3_sql(statement)));
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const int at = static_cast<int>(i);
      Column &column = columns[i];
      column = {};
      switch (sqlite3_column_type(statement, at)) {
      case SQLITE_INTEGER:
        column.type = MOS_SQL_INT;
        column.integer = sqlite3_column_int64(statement, at);
        break;
      case SQLITE_FLOAT:
        column.type = MOS_SQL_REAL;
        column.real = sqlite3_column_double(statement, at);
        break;
      case SQLITE_NULL:
        break;
      case SQLITE_BLOB:
      default: {
        column.type = sqlite3_column_type(statement, at) == SQLITE_BLOB ? MOS_SQL_BLOB : MOS_SQL_TEXT;
        const void *bytes = sqlite3_column_blob(statement, at);
        column.text = {static_cast<const char *>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(statement, at))};
      }
      }
    }
    if (!row(Row(columns))) return;
    if (limit_ != nullptr && limit_->reached()) limit_->raise(nameOf(sqlite3_sql(statement)), true);
  }
}

void SqliteConnection::run(const char *sql) {
  const As platform(*this, {});
  guard_.begin();
  check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), nameOf(sql));
}

void SqliteConnection::runScript(std::string_view sql, const std::string &owner, const std::function<void()> &changed) {
  const As guest(*this, {owner == kCoreOwner, owner});
  while (!isBlank(sql)) {
    if (limit_ != nullptr && limit_->reached()) limit_->raise(nameOf(sql));
    const char *rest = nullptr;
    sqlite3_stmt *statement = prepare(sql, &rest, 0);
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt *)> owned(statement, &sqlite3_finalize);
    if (statement != nullptr) { // a comment alone gives none
      bind(statement, {});
      readRows(statement, [](const Row &) { return true; });
    }
    sql.remove_prefix(static_cast<std::size_t>(rest - sql.data()));
    if (guard_.changesSchema()) changed();
  }
}

std::int64_t SqliteConnection::exec(const Statement &statement, const std::string &owner) {
  const As guest(*this, {owner == kCoreOwner, owner});
  const StatementUse use(*this, statement.sql);
  bind(use.get(), statement.params);
  // sqlite3_changes64() keeps its value over statements that change no rows, such as CREATE TABLE.
  const auto before = sqlite3_total_changes64(db_);
  readRows(use.get(), [](const Row &) { return true; });
  return sqlite3_total_changes64(db_) == before ? 0 : sqlite3_changes64(db_);
}

void SqliteConnection::query(std::string_view sql, const Params &params, const RowFn &row, const std::string &owner) {
  const As guest(*this, {owner == kCoreOwner, owner});
  const StatementUse use(*this, sql);
  if (sqlite3_stmt_readonly(use.get()) == 0) {
    throw Error(Status::InvalidArgument, nameOf(sql) + ": a query only reads; write with a batch", "BAD_SQL");
  }
  bind(use.get(), params);
  readRows(use.get(), row);
}

void SqliteConnection::queryTrusted(std::string_view sql, const Params &params, const RowFn &row) {
  const As platform(*this, {});
  const StatementUse use(*this, sql);
  bind(use.get(), params);
  readRows(use.get(), row);
}

void SqliteConnection::execTrusted(const Statement &statement) {
  const As platform(*this, {});
  const StatementUse use(*this, statement.sql);
  bind(use.get(), statement.params);
  readRows(use.get(), [](const Row &) { return true; });
}

bool SqliteConnection::inTransaction() const {
  return sqlite3_get_autocommit(db_) == 0;
}

void SqliteConnection::rollback() noexcept {
  if (!inTransaction()) return;
  const As platform(*this, {});
  // A failure means that SQLite has rolled back by itself (https://sqlite.org/lang_transaction.html).
  sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

int SqliteConnection::goOn(void *self) {
  RunLimit *limit = static_cast<SqliteConnection *>(self)->limit_;
  return limit != nullptr && limit->reached() ? 1 : 0;
}

int SqliteConnection::authorize(void *self, int action, const char *first, const char *second, const char *,
                                const char *) {
  const auto text = [](const char *value) { return std::string_view(value != nullptr ? value : ""); };
  return static_cast<SqliteConnection *>(self)->guard_.allows(action, text(first), text(second)) ? SQLITE_OK
                                                                                                 : SQLITE_DENY;
}

} // namespace matrixos::storage
