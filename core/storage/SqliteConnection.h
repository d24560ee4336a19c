/// One connection to SQLite. Internal to core/storage.
#pragma once

#include "storage/Row.h"
#include "storage/Statement.h"
#include "storage/TableGuard.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

struct sqlite3;
struct sqlite3_stmt;
namespace Poco::Data {
class Session;
}

namespace matrixos::storage {

class RunLimit;

/// A Poco session with our settings, prepared statements kept by their text and by whom they were prepared for, and a
/// guard that keeps SQL from taking over the transaction or the connection, and from tables of others. One thread at a
/// time.
class SqliteConnection {
public:
  enum class Role { Writer, Reader };

  /// Opens the database; a writer creates it. Throws Error.
  SqliteConnection(const std::filesystem::path &file, Role role, std::chrono::milliseconds busyTimeout,
                   const TableOwners &owners);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection &) = delete;
  SqliteConnection &operator=(const SqliteConnection &) = delete;

  /// The platform's own statement: no parameters, no rows, no guard.
  void run(const char *sql);
  /// Several statements of the owner, separated by ;, without parameters. `changed`: called after each that changed
  /// the schema.
  void runScript(std::string_view sql, const std::string &owner, const std::function<void()> &changed);
  /// A changing statement of the owner; how many rows it changed.
  std::int64_t exec(const Statement &statement, const std::string &owner);
  /// A reading statement of the owner.
  void query(std::string_view sql, const Params &params, const RowFn &row, const std::string &owner);
  /// The platform's own reading statement.
  void queryTrusted(std::string_view sql, const Params &params, const RowFn &row);
  /// The platform's own changing statement.
  void execTrusted(const Statement &statement);

  /// A transaction is open.
  bool inTransaction() const;
  /// Undoes the open transaction, if there is one; never throws.
  void rollback() noexcept;

  /// While it lives the limit ends statements.
  class LimitScope {
  public:
    LimitScope(SqliteConnection &connection, RunLimit &limit) : connection_(connection) { connection.limit_ = &limit; }
    ~LimitScope() { connection_.limit_ = nullptr; }
    LimitScope(const LimitScope &) = delete;
    LimitScope &operator=(const LimitScope &) = delete;

  private:
    SqliteConnection &connection_;
  };

  TableGuard &guard() noexcept { return guard_; }
  sqlite3 *handle() const { return db_; }

private:
  struct Cached {
    std::string key; ///< for whom, a line break, the text
    sqlite3_stmt *statement = nullptr;
    bool changesSchema = false;
  };
  class StatementUse;
  class As;

  void configure(Role role, std::chrono::milliseconds busyTimeout);
  sqlite3_stmt *prepare(std::string_view sql, const char **rest, unsigned flags);
  /// Throws Error for a result code that says failure.
  void check(int code, const std::string &what) const;
  void bind(sqlite3_stmt *statement, const Params &params);
  void readRows(sqlite3_stmt *statement, const RowFn &row);
  void keep(Cached cached) noexcept;
  static int goOn(void *self);
  static int authorize(void *self, int action, const char *first, const char *second, const char *database,
                       const char *trigger);

  std::unique_ptr<Poco::Data::Session> session_;
  sqlite3 *db_ = nullptr;
  TableGuard guard_;
  RunLimit *limit_ = nullptr;
  std::list<Cached> cache_; ///< most recently used first
  std::unordered_map<std::string_view, std::list<Cached>::iterator> byKey_;
};

} // namespace matrixos::storage
