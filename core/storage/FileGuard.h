/// Notices that a database's files are not its files any more. Internal to core/storage.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

namespace matrixos::storage {

/// SQLite writes on into a file that somebody deleted, replaced or cut, and reports success; a restart then finds
/// nothing of it. This compares what lies at the file's path, and at its log's, with what was there when it was opened.
/// What was found once stays true: only a restart opens the files anew. Thread-safe.
class FileGuard {
public:
  /// Make it right before the database is opened, when its file exists.
  explicit FileGuard(std::filesystem::path file);

  /// Looks at the files; what is wrong with them, for the operator, or "".
  std::string problem();
  /// Throws Error(Unavailable, reason DB_GONE) when there is a problem.
  void require();

private:
  std::string look();

  const std::filesystem::path file_, log_;
  std::mutex mutex_;
  std::optional<struct stat> fileThen_, logThen_;
  std::string problem_;
};

} // namespace matrixos::storage
