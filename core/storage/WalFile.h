/// Whether a database's write-ahead log is as long as it has to be. Internal to core/storage.
#pragma once

#include <matrixos/file_descriptor.hpp>

#include <filesystem>

namespace matrixos::storage {

/// The log beside a database, as its index says that it is: `<file>-shm`, which SQLite keeps in memory that all its
/// connections share (https://sqlite.org/walformat.html#the_wal_index_file_format). One thread at a time.
class WalFile {
public:
  /// `log`: `<file>-wal`.
  WalFile(const std::filesystem::path &database, std::filesystem::path log);

  /// False when frames of the log that the index counts are not in it. SQLite would read what is left, or write on
  /// behind the gap, and report success. True also when nothing can be found out.
  bool isWhole();

private:
  const std::filesystem::path index_, log_;
  /// Kept open: closing any descriptor of it would drop the locks that SQLite holds on it in this process (fcntl(2),
  /// https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
  FileDescriptor open_;
};

} // namespace matrixos::storage
