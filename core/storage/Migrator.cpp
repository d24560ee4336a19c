#include "storage/Migrator.h"

#include "storage/Backup.h"
#include "storage/SqliteConnection.h"
#include "storage/TableRecord.h"

#include <matrixos/failpoint.hpp>
#include <matrixos/text/time.hpp>

#include <Poco/DigestEngine.h>
#include <Poco/SHA2Engine.h>

#include <utility>

namespace matrixos::storage {
namespace {

std::string checksumOf(const Migration &step) {
  Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
  engine.update(step.sql);
  return Poco::DigestEngine::digestToHex(engine.digest());
}

void checkNumbers(const std::string &owner, std::span<const Migration> steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].version == i + 1) continue;
    throw Error(Status::InvalidArgument,
                "the schema steps of " + owner + " have to be numbered 1, 2, 3, …; number " +
                    std::to_string(steps[i].version) + " stands at place " + std::to_string(i + 1),
                "MIGRATION_NUMBERS");
  }
}

} // namespace

Migrator::Migrator(SqliteConnection &connection, TableRecord &record, std::filesystem::path file,
                   std::string_view owner)
    : connection_(connection), record_(record), file_(std::move(file)), owner_(owner) {}

void Migrator::run(std::span<const Migration> steps) {
  checkNumbers(owner_, steps);
  const std::vector<Applied> applied = readApplied();
  compare(steps, applied);
  record_.adoptMadeBy(owner_, steps.first(applied.size()));
  const auto pending = steps.subspan(applied.size());
  if (pending.empty()) return;
  if (somethingToLose()) {
    writeBackup(connection_, file_.string() + ".backup-" + owner_ + "-" + std::to_string(applied.size()));
  }
  apply(pending);
}

bool Migrator::hasTable() const {
  bool found = false;
  connection_.queryTrusted("SELECT 1 FROM sqlite_master WHERE type='table' AND name='schema_migrations'", {},
                           [&](const Row &) {
                             found = true;
                             return false;
                           });
  return found;
}

std::vector<Migrator::Applied> Migrator::readApplied() const {
  std::vector<Applied> applied;
  if (!hasTable()) return applied;
  connection_.queryTrusted(
      "SELECT version, name, checksum FROM schema_migrations WHERE owner = ? ORDER BY version", {owner_},
      [&](const Row &row) {
        applied.push_back({static_cast<std::uint32_t>(row.integer(0)), row.textOr(1), row.textOr(2)});
        return true;
      });
  return applied;
}

/// What was applied has to be the beginning of what is given.
void Migrator::compare(std::span<const Migration> steps, const std::vector<Applied> &applied) const {
  for (std::size_t i = 0; i < applied.size(); ++i) {
    const Applied &done = applied[i];
    const std::string label = "schema step " + std::to_string(done.version) + " (" + done.name + ") of " + owner_;
    if (done.version != i + 1) {
      throw Error(Status::FailedPrecondition,
                  "the record of schema step " + std::to_string(i + 1) + " of " + owner_ + " is missing in " +
                      file_.string() + ", though later ones are there; restore the database from a backup",
                  "MIGRATION_MISSING");
    }
    if (i >= steps.size()) {
      const std::string backup = file_.string() + ".backup-" + owner_ + "-" + std::to_string(steps.size());
      // Everybody's tables are in it: restored whole it would take back what others have done since.
      const std::string back = std::filesystem::exists(backup)
                                   ? ", or stop the daemon and bring back its tables alone, as they were before: "
                                     "matrixosd --restore-tables=" +
                                         backup
                                   : std::string();
      throw Error(Status::FailedPrecondition,
                  file_.string() + " is newer than this program: " + label + " was applied, and the program knows " +
                      std::to_string(steps.size()) + "; install the newer version of " + owner_ + " again" + back,
                  "DATABASE_NEWER");
    }
    if (done.checksum != checksumOf(steps[i])) {
      throw Error(Status::FailedPrecondition,
                  label + " was edited after it had been applied to " + file_.string() +
                      "; put its text back and make the change in a new step",
                  "MIGRATION_EDITED");
    }
  }
}

/// There is a table besides the platform's own.
bool Migrator::somethingToLose() const {
  bool found = false;
  connection_.queryTrusted(
      "SELECT 1 FROM sqlite_master WHERE type='table' AND name NOT IN ('schema_migrations', 'matrixos_tables') AND "
      "name NOT LIKE 'sqlite~_%' ESCAPE '~' LIMIT 1",
      {}, [&](const Row &) {
        found = true;
        return false;
      });
  return found;
}

void Migrator::apply(std::span<const Migration> steps) {
  // Foreign keys cannot be switched inside a transaction.
  connection_.run("PRAGMA foreign_keys=OFF");
  struct Restore {
    SqliteConnection &connection;
    ~Restore() {
      connection.rollback();
      connection.run("PRAGMA foreign_keys=ON");
    }
  } const restore{connection_};
  connection_.run("BEGIN IMMEDIATE");
  connection_.run("CREATE TABLE IF NOT EXISTS schema_migrations (owner TEXT NOT NULL, version INTEGER NOT NULL, "
                  "name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL, "
                  "PRIMARY KEY (owner, version)) WITHOUT ROWID");
  for (const Migration &step : steps)
    applyStep(step);
  checkForeignKeys();
  MATRIXOS_FAILPOINT("db.migrate_precommit");
  connection_.run("COMMIT");
}

void Migrator::applyStep(const Migration &step) {
  MATRIXOS_FAILPOINT("db.migrate_mid");
  try {
    connection_.runScript(step.sql, owner_, [this] { record_.follow(owner_); });
  } catch (const Error &e) {
    throw Error(e.status(),
                "schema step " + std::to_string(step.version) + " (" + step.name + ") of " + owner_ +
                    " failed and nothing was changed: " + e.what(),
                e.reason(), e.retryAfterMs());
  }
  MATRIXOS_FAILPOINT("db.migrate_preversion");
  connection_.execTrusted({"INSERT INTO schema_migrations (owner, version, name, checksum, applied_at) "
                           "VALUES (?, ?, ?, ?, ?)",
                           {owner_, step.version, step.name, checksumOf(step), formatTime(wallClockMs())},
                           kAnyRows});
}

void Migrator::checkForeignKeys() const {
  connection_.queryTrusted("PRAGMA foreign_key_check", {}, [&](const Row &row) -> bool {
    throw Error(Status::FailedPrecondition,
                "the schema steps of " + owner_ + " leave rows in " + row.textOr(0) + " that point at nothing in " +
                    row.textOr(2) + "; nothing was changed",
                "FOREIGN_KEY");
  });
}

} // namespace matrixos::storage
