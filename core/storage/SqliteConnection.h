/// One connection to SQLite. Internal to core/storage.
#pragma once

#include "storage/Row.h"
#include "storage/Statement.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
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

/// A Poco session with our settings, prepared statements kept by their text, and a guard that keeps plugins' SQL from
/// taking over the transaction or the connection. One thread at a time.
class SqliteConnection {
public:
  enum class Role { Writer, Reader };

  /// Opens the database; a writer creates it. Throws Error.
  SqliteConnection(const std::filesystem::path &file, Role role, std::chrono::milliseconds busyTimeout);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection &) = delete;
  SqliteConnection &operator=(const SqliteConnection &) = delete;

  /// The platform's own statement: no parameters, no rows, no guard.
  void run(const char *sql);
  /// Several statements of a plugin, separated by ;, without parameters.
  void runScript(std::string_view sql);
  /// A plugin's changing statement; how many rows it changed.
  std::int64_t exec(const Statement &statement);
  /// A plugin's reading statement.
  void query(std::string_view sql, const Params &params, const RowFn &row);
  /// The platform's own reading statement.
  void queryTrusted(std::string_view sql, const Params &params, const RowFn &row);
  /// The platform's own changing statement.
  void execTrusted(const Statement &statement);

  /// A transaction is open.
  bool inTransaction() const;
  /// Undoes the open transaction, if there is one; never throws.
  void rollback() noexcept;

  sqlite3 *handle() const { return db_; }

private:
  struct Cached {
    std::string sql;
    sqlite3_stmt *statement = nullptr;
  };
  class StatementUse;
  class Trust;

  void configure(Role role, std::chrono::milliseconds busyTimeout);
  sqlite3_stmt *prepare(std::string_view sql, const char **rest, unsigned flags);
  void bind(sqlite3_stmt *statement, const Params &params);
  void readRows(sqlite3_stmt *statement, const RowFn &row);
  void keep(Cached cached) noexcept;
  static int authorize(void *self, int action, const char *first, const char *second, const char *database,
                       const char *trigger);

  std::unique_ptr<Poco::Data::Session> session_;
  sqlite3 *db_ = nullptr;
  bool trusted_ = true;
  bool denied_ = false;     ///< the guard refused something in the statement being prepared
  std::list<Cached> cache_; ///< most recently used first
  std::unordered_map<std::string_view, std::list<Cached>::iterator> bySql_;
};

} // namespace matrixos::storage
