/// Copies of the database.
#pragma once

#include <filesystem>

namespace matrixos::storage {

class SqliteConnection;

/// Copies the connection's database with SQLite's online backup (https://sqlite.org/backup.html) into a temporary file,
/// checks that copy, syncs it and renames it to `to`. Internal to core/storage; use Database::backup().
void writeBackup(SqliteConnection &from, const std::filesystem::path &to);

} // namespace matrixos::storage
