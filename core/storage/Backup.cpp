#include "storage/Backup.h"

#include "common/AtomicFile.h"
#include "common/SystemError.h"
#include "storage/SqliteConnection.h"
#include "storage/SqliteError.h"

#include <matrixos/failpoint.hpp>
#include <matrixos/file_descriptor.hpp>
#include <matrixos/ulid.hpp>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

namespace matrixos::storage {
namespace {

using Handle = std::unique_ptr<sqlite3, int (*)(sqlite3 *)>;

Handle openFile(const std::string &file, int flags) {
  sqlite3 *raw = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &raw, flags, nullptr);
  Handle handle(raw, &sqlite3_close);
  checkSqlite(handle.get(), code, "opening " + file);
  return handle;
}

/// Copies all pages in one step, which reads one snapshot.
void copyPages(sqlite3 *from, sqlite3 *to, const std::string &what) {
  sqlite3_backup *const backup = sqlite3_backup_init(to, "main", from, "main");
  if (backup == nullptr) throwSqlite(to, sqlite3_errcode(to), what);
  const int stepped = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) throwSqlite(to, stepped == SQLITE_OK ? SQLITE_BUSY : stepped, what);
  checkSqlite(to, finished, what);
}

/// The first line of a check other than "ok"; empty when all is well.
std::string firstProblem(sqlite3 *db, const char *check) {
  std::string problem;
  const int code = sqlite3_exec(
      db, check,
      [](void *to, int count, char **values, char **) {
        const std::string_view line = count > 0 && values[0] != nullptr ? values[0] : "unknown damage";
        if (line == "ok") return 0;
        *static_cast<std::string *>(to) = line;
        return 1;
      },
      &problem, nullptr);
  if (problem.empty()) checkSqlite(db, code, check);
  return problem;
}

void requireIntact(sqlite3 *db, const std::string &file) {
  if (const std::string problem = firstProblem(db, "PRAGMA integrity_check(1)"); !problem.empty()) {
    throw Error(Status::DataLoss, file + " is damaged: " + problem, "DB_CORRUPT");
  }
}

/// A temporary database file that is gone unless it was published.
class Temporary {
public:
  explicit Temporary(const std::filesystem::path &target) : path_(target.string() + ".tmp-" + makeUlid()) {
    const FileDescriptor fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) common::throwErrno(errno, "writing " + path_);
  }
  ~Temporary() {
    if (published_) return;
    ::unlink(path_.c_str());
    for (const char *suffix : {"-journal", "-wal", "-shm"})
      ::unlink((path_ + suffix).c_str());
  }
  Temporary(const Temporary &) = delete;
  Temporary &operator=(const Temporary &) = delete;

  const std::string &path() const { return path_; }
  void publish(const std::filesystem::path &to) {
    common::publishFile(path_, to);
    published_ = true;
  }

private:
  std::string path_;
  bool published_ = false;
};

void copyVerified(sqlite3 *from, const Temporary &to) {
  const Handle copy = openFile(to.path(), SQLITE_OPEN_READWRITE);
  copyPages(from, copy.get(), "writing the backup " + to.path());
  MATRIXOS_FAILPOINT("db.backup_mid");
  // A copy is one file that needs no log beside it.
  checkSqlite(copy.get(), sqlite3_exec(copy.get(), "PRAGMA journal_mode=DELETE", nullptr, nullptr, nullptr),
              "writing the backup " + to.path());
  requireIntact(copy.get(), to.path());
}

/// Moves what is in the log into the database. A damaged database is left as it is: it is about to be replaced.
void foldLog(const std::string &file) {
  try {
    const Handle db = openFile(file, SQLITE_OPEN_READWRITE);
    sqlite3_wal_checkpoint_v2(db.get(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  } catch (const Error &) {
    return;
  }
}

} // namespace

void writeBackup(SqliteConnection &from, const std::filesystem::path &to) {
  Temporary temporary(to);
  copyVerified(from.handle(), temporary);
  MATRIXOS_FAILPOINT("db.backup_prerename");
  temporary.publish(to);
}

void requireIntactBackup(const std::filesystem::path &backup) {
  requireIntact(openFile(backup.string(), SQLITE_OPEN_READONLY).get(), backup.string());
}

std::filesystem::path restoreBackup(const std::filesystem::path &backup, const std::filesystem::path &file) {
  Temporary temporary(file);
  {
    const Handle source = openFile(backup.string(), SQLITE_OPEN_READONLY);
    copyVerified(source.get(), temporary);
  }
  std::filesystem::path kept;
  if (std::filesystem::exists(file)) {
    foldLog(file.string());
    kept = file.string() + ".before-restore-" + makeUlid();
    if (::link(file.c_str(), kept.c_str()) != 0) common::throwErrno(errno, "keeping " + kept.string());
    // A log that could not be folded belongs to the old file. Beside the restored one it would destroy it.
    if (::rename((file.string() + "-wal").c_str(), (kept.string() + "-wal").c_str()) != 0 && errno != ENOENT) {
      common::throwErrno(errno, "keeping the log of " + file.string());
    }
    ::unlink((file.string() + "-shm").c_str());
  }
  MATRIXOS_FAILPOINT("db.restore_prerename");
  temporary.publish(file);
  return kept;
}

} // namespace matrixos::storage
