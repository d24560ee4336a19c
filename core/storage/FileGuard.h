/// Notices that a database's files are not its files any more. Internal to core/storage.
#pragma once

#include "storage/WalFile.h"

#include <matrixos/file_descriptor.hpp>

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
  /// Make it right before the database is opened, when its file exists, and let it outlive all connections.
  explicit FileGuard(std::filesystem::path file);

  /// Looks at the files; what is wrong with them, for the operator, or "".
  std::string problem();
  /// Throws Error(Unavailable, reason DB_GONE) when there is a problem.
  void require();

private:
  std::string look();
  bool isWhole(off_t size) const;

  const std::filesystem::path file_, log_;
  /// Kept open, since closing it would drop the locks that SQLite holds on the file in this process (fcntl(2)).
  const FileDescriptor open_;
  std::mutex mutex_;
  WalFile wal_;
  std::optional<struct stat> fileThen_, logThen_;
  std::string problem_;
};

} // namespace matrixos::storage
