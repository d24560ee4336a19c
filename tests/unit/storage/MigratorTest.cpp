#include "storage/Database.h"
#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

namespace {

const Migration kFirst{1, "items",
                       "CREATE TABLE item (id INTEGER PRIMARY KEY);\n-- a comment; with a semicolon\n"
                       "INSERT INTO item VALUES (1);"};
const Migration kSecond{2, "names", "ALTER TABLE item ADD COLUMN name TEXT"};
const Migration kThird{3, "more", "CREATE TABLE more (x)"};

using Steps = std::vector<Migration>;

std::filesystem::path backupOf(const Database &db, const std::string &suffix) {
  return db.file().string() + ".backup-" + suffix;
}

} // namespace

TEST_CASE("steps are applied once, in order, per owner, and a new database needs no backup") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.migrate("one", Steps{kFirst, kSecond});
  CHECK_FALSE(std::filesystem::exists(backupOf(db, "one-0")));
  db.migrate("one", Steps{kFirst, kSecond});
  CHECK(db.queryInt("SELECT count(*) FROM item") == 1);
  db.migrate("two", Steps{{1, "other", "CREATE TABLE other (x)"}});
  CHECK(db.queryInt("SELECT count(*) FROM schema_migrations") == 3);
  CHECK(db.queryInt("SELECT length(checksum) FROM schema_migrations WHERE owner = 'one' AND version = 2") == 64);
  CHECK(db.queryInt("SELECT length(applied_at) FROM schema_migrations LIMIT 1") == 24);
  db.migrate("none", Steps{});
}

TEST_CASE("a step that comes later is applied after a backup of what was there before") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.migrate("one", Steps{kFirst});
  db.exec("INSERT INTO item VALUES (42)");
  db.migrate("one", Steps{kFirst, kSecond, kThird});
  CHECK(db.queryInt("SELECT count(*) FROM item WHERE name IS NULL") == 2);
  const auto backup = backupOf(db, "one-1");
  REQUIRE(std::filesystem::exists(backup));
  const Database old({.file = backup});
  CHECK(old.queryInt("SELECT count(*) FROM item") == 2);
  CHECK(old.queryInt("SELECT max(version) FROM schema_migrations WHERE owner = 'one'") == 1);
}

TEST_CASE("an edited step, a missing one and a database from the future are refused, and say which") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.migrate("one", Steps{kFirst, kSecond});
  Steps edited{kFirst, kSecond};
  edited[1].sql += " NOT NULL DEFAULT ''";
  const Error edit = errorOf([&] { db.migrate("one", edited); });
  CHECK(edit.status() == Status::FailedPrecondition);
  CHECK(edit.reason() == "MIGRATION_EDITED");
  CHECK(std::string(edit.what()).find("step 2 (names) of one") != std::string::npos);
  const Error newer = errorOf([&] { db.migrate("one", Steps{kFirst}); });
  CHECK(newer.status() == Status::FailedPrecondition);
  CHECK(newer.reason() == "DATABASE_NEWER");
  CHECK(errorOf([&] { db.migrate("one", Steps{}); }).reason() == "DATABASE_NEWER");
  CHECK(statusOf([&] { db.migrate("three", Steps{kFirst, kThird}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { db.migrate("three", Steps{kSecond}); }) == Status::InvalidArgument);
}

TEST_CASE("a record that is gone from the middle is noticed") {
  const TempDir dir;
  const auto file = dir / "test.db";
  {
    Database db({.file = file});
    db.migrate("one", Steps{kFirst, kSecond, kThird});
  }
  sqlite3 *raw = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
  CHECK(sqlite3_exec(raw, "DELETE FROM schema_migrations WHERE version = 2", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);
  Database db({.file = file});
  CHECK(errorOf([&] { db.migrate("one", Steps{kFirst, kSecond, kThird}); }).reason() == "MIGRATION_MISSING");
}

TEST_CASE("steps that fail leave nothing of any of them") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.migrate("one", Steps{kFirst});
  const Error failed = errorOf([&] {
    db.migrate("one", Steps{kFirst, kSecond, {3, "broken", "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)"}});
  });
  CHECK(failed.status() == Status::InvalidArgument);
  CHECK(std::string(failed.what()).find("step 3 (broken) of one") != std::string::npos);
  CHECK(db.queryInt("SELECT count(*) FROM schema_migrations") == 1);
  CHECK(db.queryInt("SELECT count(*) FROM pragma_table_info('item')") == 1);
  CHECK(db.queryInt("SELECT count(*) FROM sqlite_master WHERE name = 'half'") == 0);
  CHECK(statusOf([&] {
          db.migrate("one", Steps{kFirst, {2, "x", "COMMIT; CREATE TABLE half (x)"}});
        }) == Status::InvalidArgument);
  CHECK(db.queryInt("SELECT count(*) FROM sqlite_master WHERE name = 'half'") == 0);
  db.migrate("one", Steps{kFirst, kSecond});
  CHECK(db.queryInt("SELECT count(*) FROM schema_migrations") == 2);
}

TEST_CASE("a step may rebuild a table that others point at, but may not leave dangling rows") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  const Migration tables{1, "tables",
                         "CREATE TABLE item (id INTEGER PRIMARY KEY);"
                         "CREATE TABLE part (item INTEGER REFERENCES item (id) ON DELETE CASCADE);"
                         "INSERT INTO item VALUES (1), (2); INSERT INTO part VALUES (1), (2);"};
  const Migration rebuild{2, "rebuild",
                          "CREATE TABLE item2 (id INTEGER PRIMARY KEY, name TEXT);"
                          "INSERT INTO item2 (id) SELECT id FROM item; DROP TABLE item;"
                          "ALTER TABLE item2 RENAME TO item;"};
  db.migrate("one", Steps{tables, rebuild});
  CHECK(db.queryInt("SELECT count(*) FROM part") == 2);
  const Error dangling = errorOf([&] {
    db.migrate("one", Steps{tables, rebuild, {3, "lose", "DELETE FROM item WHERE id = 1"}});
  });
  CHECK(dangling.status() == Status::FailedPrecondition);
  CHECK(dangling.reason() == "FOREIGN_KEY");
  CHECK(db.queryInt("SELECT count(*) FROM item") == 2);
  // Foreign keys are on again afterwards.
  CHECK(statusOf([&] { db.exec("INSERT INTO part VALUES (99)"); }) == Status::FailedPrecondition);
}

TEST_CASE("the tables of one owner come back from their backup, and those of others stay") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.migrate("two", Steps{{1, "other", "CREATE TABLE other (x)"}});
  const Steps old{{1, "one",
                   "CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, x, double AS (2 * x));"
                   "CREATE INDEX item_x ON item (x); CREATE TABLE gone (y);"
                   "CREATE VIEW items AS SELECT x FROM item;"
                   "CREATE TRIGGER item_t AFTER DELETE ON item BEGIN INSERT INTO gone VALUES (old.x); END"}};
  db.migrate("one", old);
  db.execBatch({{"INSERT INTO item (x) VALUES (1), (2), (3)"}, {"DELETE FROM item WHERE id = 3"}}, {.owner = "one"});
  Steps next = old;
  next.push_back({2, "next",
                  "DROP TRIGGER item_t; DROP VIEW items; ALTER TABLE item RENAME COLUMN x TO z; DROP TABLE gone; "
                  "CREATE TABLE fresh (x);"
                  "UPDATE item SET z = 9"});
  db.migrate("one", next);
  db.exec("INSERT INTO other VALUES ('since')");

  const Error newer = errorOf([&] { db.migrate("one", old); });
  const auto backup = backupOf(db, "one-1");
  CHECK(std::string(newer.what()).find("matrixosd --restore-tables=" + backup.string()) != std::string::npos);
  const auto before = db.restoreTables(backup);
  db.migrate("one", old);
  CHECK(db.queryInt("SELECT sum(x) FROM items") == 3);
  CHECK(db.queryInt("SELECT sum(double) FROM item") == 6);
  CHECK(db.queryInt("SELECT y FROM gone") == 3);
  CHECK(db.queryInt("SELECT count(*) FROM sqlite_master WHERE name IN ('fresh', 'item_x', 'item_t')") == 2);
  CHECK(db.queryInt("SELECT count(*) FROM other") == 1);
  db.execBatch({{"INSERT INTO item (x) VALUES (4)", {}, 1}, {"INSERT INTO gone VALUES (1)"}}, {.owner = "one"});
  CHECK(db.queryInt("SELECT max(id) FROM item") == 4);
  CHECK(statusOf([&] { db.execBatch({{"DELETE FROM gone"}}, {.owner = "two"}); }) == Status::PermissionDenied);
  CHECK(Database({.file = before}).queryInt("SELECT count(*) FROM fresh") == 0);
  CHECK(statusOf([&] { db.restoreTables(before); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { db.restoreTables(backupOf(db, "one-7")); }) != Status::Ok);
}

TEST_CASE("a backup from before tables had owners brings back what its owner has now, and what nobody has any more") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.migrate("two", Steps{{1, "other", "CREATE TABLE other (x)"}});
  const Steps old{{1, "one", "CREATE TABLE item (x); INSERT INTO item VALUES (1); CREATE TABLE gone (y)"}};
  db.migrate("one", old);
  Steps next = old;
  next.push_back({2, "next", "DROP TABLE gone; DELETE FROM item"});
  db.migrate("one", next);
  const auto backup = backupOf(db, "one-1");
  sqlite3 *raw = nullptr;
  REQUIRE(sqlite3_open(backup.c_str(), &raw) == SQLITE_OK);
  CHECK(sqlite3_exec(raw, "DROP TABLE matrixos_tables", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);
  db.exec("INSERT INTO other VALUES ('since')");
  db.restoreTables(backup);
  CHECK(db.queryInt("SELECT count(*) FROM item") == 1);
  CHECK(db.queryInt("SELECT count(*) FROM gone") == 0);
  CHECK(db.queryInt("SELECT count(*) FROM other") == 1);
}
