/// The platform's database: reads, atomic batches, migrations, backups.
#pragma once

#include "storage/Access.h"
#include "storage/KeyValues.h"
#include "storage/OutboxStore.h"
#include "storage/Row.h"
#include "storage/Statement.h"
#include "storage/TableOwners.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::storage {

class FileGuard;
class SqliteConnection;
class Writer;

struct DatabaseOptions {
  /// Made, with mode 0600, when it does not exist. Its folder has to exist and be on a local disk.
  std::filesystem::path file;
  /// How long to wait for a lock that another program holds.
  std::chrono::milliseconds busyTimeout{5000};
};

/// SQLite with one writing connection (all writes and checkpoints) and reading connections, each used by one thread at
/// a time. Nobody holds a transaction: reads see one snapshot per query, writes are batches. All functions are
/// thread-safe and may block for the disk. Failures are matrixos::Error by the table in host.h ("sql").
///
/// A table belongs to the owner whose statement or schema step made it, and to no other: TableOwners.h, Access.h.
class Database {
public:
  struct Counts {
    std::uint64_t batches = 0;
    /// Fewer than batches when several shared one.
    std::uint64_t transactions = 0;
    std::uint64_t checkpoints = 0;
  };

  explicit Database(DatabaseOptions options);
  /// Finishes queued batches, checkpoints and closes. No call may be running.
  ~Database();

  /// Runs a reading statement with `?` parameters and hands its rows to `row` until that answers false. The callback
  /// may use the database again. Reads all that was written before the call.
  void query(std::string_view sql, const Params &params, const RowFn &row, const Access &access = {}) const;
  /// First column of the first row; nothing when there is no row or it is NULL.
  std::optional<std::int64_t> queryInt(std::string_view sql, const Params &params = {}) const;

  /// Runs the statements as one atomic batch; durable once it returns. Gives the rows that each changed. Throws
  /// Error(Aborted, reason EXPECTATION) when one changed another number of rows than expected; then nothing has
  /// happened, as with every other Error but Unavailable with reason DB_IO, a disk that fails during the commit, or
  /// DB_GONE, files that somebody took away: these leave open whether it is kept after a restart.
  std::vector<std::int64_t> execBatch(std::span<const Statement> statements, const Access &access = {});
  std::vector<std::int64_t> execBatch(std::initializer_list<Statement> statements, const Access &access = {}) {
    return execBatch(std::span<const Statement>(statements.begin(), statements.size()), access);
  }
  /// A batch of one statement; how many rows it changed.
  std::int64_t exec(std::string_view sql, Params params = {}, std::int64_t expectedRows = kAnyRows);

  /// Brings the owner's tables up to date in one transaction, after a verified backup where there is something to lose
  /// (<file>.backup-<owner>-<from version>). Steps are numbered 1, 2, 3, …; they run with foreign keys off, which are
  /// checked before the commit, so that a step may rebuild a table (https://sqlite.org/lang_altertable.html). Throws
  /// Error: FailedPrecondition for a step that was edited after it was applied (reason MIGRATION_EDITED), an applied
  /// one that is missing (MIGRATION_MISSING) or a database newer than the program (DATABASE_NEWER); InvalidArgument for
  /// steps that are not numbered without gaps or whose SQL is wrong.
  void migrate(const std::string &owner, std::span<const Migration> steps) { migrate(Access{owner}, steps); }
  void migrate(const Access &access, std::span<const Migration> steps);

  /// Those who may come to have tables, with the names that they claim (abi/plugin.h, mos_claim), in place of what was
  /// said before.
  void expectOwners(TableOwners::Claims claims) { owners_.expect(std::move(claims)); }
  /// The owner comes: what was made before tables had owners, and is its own by name, becomes its. Throws
  /// Error(FailedPrecondition, reason TABLE_CLAIMED) when it claims a name that a table of somebody else has.
  void admit(const std::string &owner);

  /// Puts the tables of one owner back to what they were before its schema steps, from the backup that migrate() made,
  /// and leaves those of others alone. What was there is first written to <file>.before-restore-<ulid>, which is
  /// returned.
  std::filesystem::path restoreTables(const std::filesystem::path &backup);

  /// Writes a consistent copy while the database is in use, verifies it and puts it at `to`, replacing what is there.
  void backup(const std::filesystem::path &to) const;

  /// For owners that need no table.
  KeyValues &keyValues() noexcept { return keyValues_; }
  OutboxStore &outbox() noexcept { return outbox_; }

  /// Why nothing is stored any more: somebody deleted, replaced or cut the files while they are in use. Empty while all
  /// is well. Looks at the files.
  std::string problem() const;

  /// "sqlite": for the few statements that differ between databases.
  const char *dialect() const noexcept { return "sqlite"; }
  const std::filesystem::path &file() const noexcept { return options_.file; }
  Counts counts() const;

private:
  class Reader;

  /// Runs `body`, and again each time that it turns out to need a table which can be taken for the owner's.
  auto adopting(const Access &access, auto &&body) const;

  DatabaseOptions options_;
  TableOwners owners_;
  std::unique_ptr<FileGuard> guard_;
  std::unique_ptr<Writer> writer_;
  KeyValues keyValues_{*this};
  OutboxStore outbox_{*this};
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<SqliteConnection>> readers_; ///< not in use now
};

} // namespace matrixos::storage
