/// Copies of the database, and the way back.
#pragma once

#include <filesystem>

namespace matrixos::storage {

class SqliteConnection;

/// Copies the connection's database with SQLite's online backup (https://sqlite.org/backup.html) into a temporary file,
/// checks that copy, syncs it and renames it to `to`. Internal to core/storage; use Database::backup().
void writeBackup(SqliteConnection &from, const std::filesystem::path &to);

/// Throws Error(DataLoss) for a damaged backup. Internal to core/storage.
void requireIntactBackup(const std::filesystem::path &backup);

/// Puts a backup in the place of the database `file`, which nobody may have open: take the DataDirectory's lock first.
/// The backup is checked and copied before anything is touched; the old database stays beside it as the returned path
/// (empty when there was none). A crash leaves the old or the restored database. Throws Error.
std::filesystem::path restoreBackup(const std::filesystem::path &backup, const std::filesystem::path &file);

} // namespace matrixos::storage
