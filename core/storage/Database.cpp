#include "storage/Database.h"

#include "common/AtomicFile.h"
#include "common/SystemError.h"
#include "storage/Backup.h"
#include "storage/FileGuard.h"
#include "storage/Migrator.h"
#include "storage/RunLimit.h"
#include "storage/SqliteConnection.h"
#include "storage/TableRestore.h"
#include "storage/Writer.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/ulid.hpp>

#include <fcntl.h>

#include <cerrno>
#include <utility>

namespace matrixos::storage {
namespace {

/// Reading connections kept open when no query runs.
constexpr std::size_t kIdleReaders = 16;

/// Makes the file with our mode, so that SQLite gives its log the same one, and finds out early why it cannot be.
void makeFile(const std::filesystem::path &file) {
  const FileDescriptor existing(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (existing) return;
  const FileDescriptor made(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!made) common::throwErrno(errno, "opening the database " + file.string());
  common::syncDirectory(file.parent_path().empty() ? "." : file.parent_path());
}

} // namespace

/// A reading connection for the length of one call. There is always one to be had, since a thread never waits for
/// another to give its own back: a callback that queries again cannot deadlock.
class Database::Reader {
public:
  explicit Reader(const Database &database) : database_(database) {
    {
      const std::lock_guard lock(database.mutex_);
      if (!database.readers_.empty()) {
        connection_ = std::move(database.readers_.back());
        database.readers_.pop_back();
      }
    }
    if (connection_) return;
    connection_ = std::make_unique<SqliteConnection>(database.options_.file, SqliteConnection::Role::Reader,
                                                     database.options_.busyTimeout, database.owners_);
  }
  ~Reader() {
    const std::lock_guard lock(database_.mutex_);
    if (database_.readers_.size() < kIdleReaders) database_.readers_.push_back(std::move(connection_));
  }
  Reader(const Reader &) = delete;
  Reader &operator=(const Reader &) = delete;

  SqliteConnection *operator->() const { return connection_.get(); }
  SqliteConnection &operator*() const { return *connection_; }

private:
  const Database &database_;
  std::unique_ptr<SqliteConnection> connection_;
};

Database::Database(DatabaseOptions options) : options_(std::move(options)) {
  makeFile(options_.file);
  guard_ = std::make_unique<FileGuard>(options_.file);
  // The writer comes first: whoever opens a database after a crash recovers its log, and that is a write.
  writer_ = std::make_unique<Writer>(options_.file, options_.busyTimeout, *guard_, owners_);
  readers_.reserve(kIdleReaders);
}

Database::~Database() {
  // The writer closes last, since the last connection checkpoints and removes the log.
  readers_.clear();
}

auto Database::adopting(const Access &access, auto &&body) const {
  for (;;) {
    try {
      return body();
    } catch (const NobodysTable &refused) {
      bool adopted = false;
      writer_->run(
          [&](SqliteConnection &, TableRecord &record) { adopted = record.adopt(access.owner, refused.table()); }, {});
      if (!adopted) throw;
    }
  }
}

void Database::query(std::string_view sql, const Params &params, const RowFn &row, const Access &access) const {
  adopting(access, [&] {
    const Reader reader(*this);
    RunLimit limit(access);
    const SqliteConnection::LimitScope scope(*reader, limit);
    reader->guard().see(owners_.names());
    reader->query(sql, params, row, access.owner);
  });
}

std::optional<std::int64_t> Database::queryInt(std::string_view sql, const Params &params) const {
  std::optional<std::int64_t> result;
  query(sql, params, [&](const Row &row) {
    if (!row.isNull(0)) result = row.integer(0);
    return false;
  });
  return result;
}

std::vector<std::int64_t> Database::execBatch(std::span<const Statement> statements, const Access &access) {
  return adopting(access, [&] { return writer_->exec(statements, access); });
}

std::int64_t Database::exec(std::string_view sql, Params params, std::int64_t expectedRows) {
  return execBatch({Statement{std::string(sql), std::move(params), expectedRows}}).front();
}

void Database::migrate(const Access &access, std::span<const Migration> steps) {
  adopting(access, [&] {
    writer_->run([&](SqliteConnection &connection,
                     TableRecord &record) { Migrator(connection, record, options_.file, access.owner).run(steps); },
                 access);
  });
}

void Database::admit(const std::string &owner) {
  if (const std::string conflict = owners_.conflict(owner); !conflict.empty())
    throw Error(Status::FailedPrecondition, conflict, "TABLE_CLAIMED");
  const auto names = owners_.names();
  for (const auto &[table, has] : names->owners) {
    if (!has.empty() || !owners_.hasName(owner, table)) continue;
    return writer_->run([&, asked = table](SqliteConnection &, TableRecord &record) { record.adopt(owner, asked); },
                        {});
  }
}

std::filesystem::path Database::restoreTables(const std::filesystem::path &backup) {
  const std::filesystem::path kept = options_.file.string() + ".before-restore-" + makeUlid();
  this->backup(kept);
  writer_->run(
      [&](SqliteConnection &connection, TableRecord &record) { TableRestore(connection, record, backup).run(); }, {});
  return kept;
}

void Database::backup(const std::filesystem::path &to) const {
  writeBackup(*Reader(*this), to);
}

std::string Database::problem() const {
  return guard_->problem();
}

Database::Counts Database::counts() const {
  return writer_->counts();
}

} // namespace matrixos::storage
