/// SQLite's result codes as matrixos::Error.
#pragma once

#include <string_view>

struct sqlite3;

namespace matrixos::storage {

/// Throws the Error for a failed call on this connection, by the table in host.h ("sql"): unique key AlreadyExists,
/// other constraints FailedPrecondition, full disk ResourceExhausted, locked or unreachable Unavailable, damaged file
/// DataLoss, wrong SQL InvalidArgument. `what` says what was attempted; it ends up at the front of the message.
[[noreturn]] void throwSqlite(sqlite3 *db, int code, std::string_view what);

/// Throws unless the code is SQLITE_OK, SQLITE_ROW or SQLITE_DONE.
void checkSqlite(sqlite3 *db, int code, std::string_view what);

} // namespace matrixos::storage
