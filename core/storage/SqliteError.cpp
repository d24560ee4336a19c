#include "storage/SqliteError.h"

#include <matrixos/status.hpp>

#include <sqlite3.h>

#include <cerrno>
#include <string>

namespace matrixos::storage {
namespace {

bool isSpaceError(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/// The disk was full, by the errno of the last operation on the database or its log: a quota and a file size limit are
/// no SQLITE_FULL, and sqlite3_system_errno() is overwritten by the rollback that follows.
bool isOutOfSpace(sqlite3 *db) {
  int error = 0;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK && isSpaceError(error))
    return true;
  sqlite3_file *log = nullptr;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == nullptr) return false;
  if (log->pMethods == nullptr) return false;
  return log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK && isSpaceError(error);
}

[[noreturn]] void throwFull(const std::string &what, const std::string &file) {
  throw Error(Status::ResourceExhausted,
              what + ": the disk that holds " + file + " is full; free some space on it and try again", "DISK_FULL",
              5000);
}

[[noreturn]] void throwConstraint(int extended, const std::string &text) {
  if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
      extended == SQLITE_CONSTRAINT_ROWID)
    throw Error(Status::AlreadyExists, text, "UNIQUE");
  throw Error(Status::FailedPrecondition, text,
              extended == SQLITE_CONSTRAINT_FOREIGNKEY ? "FOREIGN_KEY"
              : extended == SQLITE_CONSTRAINT_CHECK    ? "CHECK"
              : extended == SQLITE_CONSTRAINT_NOTNULL  ? "NOT_NULL"
                                                       : "CONSTRAINT");
}

} // namespace

void throwSqlite(sqlite3 *db, int code, std::string_view what) {
  const std::string front(what);
  const std::string text = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  const int extended = db != nullptr ? sqlite3_extended_errcode(db) : code;
  const std::string file = db != nullptr && sqlite3_db_filename(db, "main") != nullptr
                               ? std::string(sqlite3_db_filename(db, "main"))
                               : std::string("the database");
  switch (code & 0xff) {
  case SQLITE_CONSTRAINT:
    throwConstraint(extended, front + ": " + text);
  case SQLITE_FULL:
    throwFull(front, file);
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    throw Error(Status::Unavailable,
                front + ": another program keeps " + file +
                    " locked; close what has it open (a sqlite3 shell, a copy job) and try again",
                "DB_LOCKED", 1000);
  case SQLITE_IOERR:
    if (db != nullptr && isOutOfSpace(db)) throwFull(front, file);
    [[fallthrough]];
  case SQLITE_CANTOPEN:
  case SQLITE_READONLY:
    // A file that may be written is read-only to the connections for queries alone.
    if ((code & 0xff) == SQLITE_READONLY && db != nullptr && sqlite3_db_readonly(db, "main") == 0) {
      throw Error(Status::InvalidArgument, front + ": a query only reads; write with a batch", "BAD_SQL");
    }
    [[fallthrough]];
  case SQLITE_PERM:
    throw Error(Status::Unavailable,
                front + ": " + file + " cannot be read or written (" + text +
                    "); check the disk and the owner and mode of the file and its folder",
                "DB_IO", 5000);
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    throw Error(Status::DataLoss, front + ": " + file + " is damaged (" + text + "); restore it from a backup",
                "DB_CORRUPT");
  case SQLITE_NOMEM:
    throw Error(Status::ResourceExhausted, front + ": out of memory", "NO_MEMORY", 1000);
  case SQLITE_SCHEMA:
    throw Error(Status::Unavailable, front + ": the schema changed meanwhile; try again", "", 100);
  case SQLITE_INTERRUPT:
    throw Error(Status::Cancelled, front + ": interrupted");
  default:
    throw Error(Status::InvalidArgument, front + ": " + text, "BAD_SQL");
  }
}

void checkSqlite(sqlite3 *db, int code, std::string_view what) {
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) throwSqlite(db, code, what);
}

} // namespace matrixos::storage
