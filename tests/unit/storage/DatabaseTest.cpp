#include "storage/Database.h"

#include "unit/common/Fixtures.h"
#include "unit/storage/Integrity.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <limits>
#include <thread>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

namespace {

struct Fixture {
  TempDir dir;
  Database db{{.file = dir / "test.db"}};

  Fixture() {
    db.execBatch(
        {{"CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL CHECK (size >= 0), data BLOB)"},
         {"CREATE TABLE part (item INTEGER NOT NULL REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED)"}});
  }
  std::int64_t items() const { return db.queryInt("SELECT count(*) FROM item").value(); }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "every type goes in and comes out unchanged") {
  const std::string text("quote ' and NUL \0 and ü", 24);
  const std::string bytes("\x00\xff\x01", 3);
  db.exec("INSERT INTO item VALUES (?, ?, ?, ?)", {std::numeric_limits<std::int64_t>::min(), text, 0.1, Blob{bytes}},
          1);
  db.exec("INSERT INTO item VALUES (?, ?, ?, ?)", {2, std::optional<std::string>{}, nullptr, ""});
  int rows = 0;
  db.query("SELECT id, name, size, data FROM item ORDER BY id", {}, [&](const Row &row) {
    REQUIRE(row.size() == 4);
    if (rows++ == 0) {
      CHECK(row.integer(0) == std::numeric_limits<std::int64_t>::min());
      CHECK(row.text(1) == text);
      CHECK(row.real(2) == 0.1);
      CHECK(row.blob(3) == bytes);
    } else {
      CHECK(row.isNull(1));
      CHECK(row.textOr(1, "none") == "none");
      CHECK(row.isNull(2));
      CHECK(row.text(3).empty());
      CHECK(statusOf([&] { row.integer(1); }) == Status::Internal);
      CHECK(statusOf([&] { row.isNull(4); }) == Status::Internal);
    }
    return true;
  });
  CHECK(rows == 2);
}

TEST_CASE_FIXTURE(Fixture, "values are bound, never part of the text") {
  const std::string evil = "x'); DROP TABLE item; --";
  db.exec("INSERT INTO item (name) VALUES (?)", {evil}, 1);
  CHECK(db.queryInt("SELECT count(*) FROM item WHERE name = ?", {evil}) == 1);
  CHECK(items() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a query stops when told, and may query and write inside") {
  for (int i = 1; i <= 10; ++i)
    db.exec("INSERT INTO item (id) VALUES (?)", {i});
  int rows = 0;
  db.query("SELECT id FROM item ORDER BY id", {}, [&](const Row &row) {
    const auto id = row.integer(0);
    CHECK(db.queryInt("SELECT id FROM item WHERE id = ?", {id}) == id);
    db.exec("INSERT INTO item (id) VALUES (?)", {id + 100});
    return ++rows < 3;
  });
  CHECK(rows == 3);
  CHECK(items() == 13);
  CHECK_THROWS_AS(db.query("SELECT 1", {}, [](const Row &) -> bool { throw std::runtime_error("mine"); }),
                  std::runtime_error);
  CHECK(db.queryInt("SELECT 1") == 1);
}

TEST_CASE_FIXTURE(Fixture, "a batch is all or nothing and tells what changed") {
  const auto changed = db.execBatch({{"INSERT INTO item (id) VALUES (1), (2), (3)", {}, 3},
                                     {"UPDATE item SET size = 1 WHERE id > ?", {1}, 2},
                                     {"CREATE TABLE more (x)"},
                                     {"DELETE FROM item WHERE id = 9"},
                                     {"SELECT 1"}});
  CHECK(changed == std::vector<std::int64_t>{3, 2, 0, 0, 0});
  const Error unmet = errorOf([&] {
    db.execBatch({{"INSERT INTO item (id) VALUES (4)", {}, 1}, {"UPDATE item SET size = 5 WHERE id = 99", {}, 1}});
  });
  CHECK(unmet.status() == Status::Aborted);
  CHECK(unmet.reason() == "EXPECTATION");
  CHECK(items() == 3);
  CHECK(db.execBatch({}).empty());
}

TEST_CASE_FIXTURE(Fixture, "failures have the status that the contract says, and change nothing") {
  db.exec("INSERT INTO item (id, name) VALUES (1, 'a')");
  const auto failing = [&](const char *sql) {
    return errorOf([&] { db.execBatch({{"INSERT INTO item (id) VALUES (50)"}, {sql}}); });
  };
  CHECK(failing("INSERT INTO item (name) VALUES ('a')").status() == Status::AlreadyExists);
  CHECK(failing("INSERT INTO item (id) VALUES (1)").status() == Status::AlreadyExists);
  CHECK(failing("INSERT INTO item (size) VALUES (-1)").reason() == "CHECK");
  CHECK(failing("INSERT INTO item (size) VALUES (-1)").status() == Status::FailedPrecondition);
  CHECK(failing("INSERT INTO part VALUES (NULL)").reason() == "NOT_NULL");
  CHECK(failing("INSERT INTO part VALUES (77)").reason() == "FOREIGN_KEY");
  CHECK(failing("INSERT OR ROLLBACK INTO item (id) VALUES (1)").status() == Status::AlreadyExists);
  CHECK(failing("NONSENSE").status() == Status::InvalidArgument);
  CHECK(failing("INSERT INTO nowhere VALUES (1)").status() == Status::InvalidArgument);
  CHECK(failing("INSERT INTO item (id) VALUES (?)").status() == Status::InvalidArgument);
  CHECK(failing("INSERT INTO item (id) VALUES (60); DELETE FROM item").status() == Status::InvalidArgument);
  CHECK(failing("").status() == Status::InvalidArgument);
  CHECK(items() == 1);
  const Error unique = failing("INSERT INTO item (name) VALUES ('a')");
  CHECK(std::string(unique.what()).find("item.name") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "statements cannot take over the transaction, the connection or the platform's table") {
  for (const char *sql :
       {"COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT x", "PRAGMA foreign_keys=OFF", "PRAGMA journal_mode=DELETE",
        "ATTACH ':memory:' AS other", "CREATE TEMP TABLE t (x)", "VACUUM"}) {
    CAPTURE(std::string(sql));
    CHECK(statusOf([&] { db.execBatch({{"INSERT INTO item (id) VALUES (70)"}, {sql}}); }) == Status::InvalidArgument);
    const Error queried = errorOf([&] { db.query(sql, {}, [](const Row &) { return true; }); });
    CAPTURE(std::string(queried.what()));
    CHECK(queried.status() == Status::InvalidArgument);
  }
  CHECK(statusOf([&] { db.query("DELETE FROM item", {}, [](const Row &) { return true; }); }) ==
        Status::InvalidArgument);
  const std::vector<Migration> steps{{1, "one", "CREATE TABLE a (x)"}};
  db.migrate("test", steps);
  for (const char *sql : {"DELETE FROM schema_migrations", "UPDATE schema_migrations SET checksum = ''",
                          "INSERT INTO schema_migrations VALUES ('x', 1, '', '', '')", "DROP TABLE schema_migrations",
                          "ALTER TABLE schema_migrations RENAME TO other"}) {
    CAPTURE(std::string(sql));
    CHECK(statusOf([&] { db.exec(sql); }) == Status::InvalidArgument);
  }
  CHECK(items() == 0);
  CHECK(db.queryInt("SELECT count(*) FROM pragma_table_info('item')") == 4);
}

TEST_CASE_FIXTURE(Fixture, "more statements than the cache holds, and a schema that changes under cached ones") {
  for (int i = 0; i < 400; ++i) {
    const std::string sql = "SELECT " + std::to_string(i);
    CHECK(db.queryInt(sql) == i);
  }
  db.exec("INSERT INTO item (id) VALUES (1)");
  CHECK(items() == 1);
  db.exec("ALTER TABLE item ADD COLUMN extra TEXT");
  CHECK(items() == 1);
  db.exec("INSERT INTO item (id, extra) VALUES (2, 'x')");
  CHECK(db.queryInt("SELECT count(*) FROM item WHERE id = 2 AND extra = 'x'") == 1);
}

TEST_CASE("files are private, and what was written is there after opening again") {
  const TempDir dir;
  const auto file = dir / "test.db";
  {
    Database db({.file = file});
    db.execBatch({{"CREATE TABLE t (x)"}, {"INSERT INTO t VALUES (7)"}});
    for (const char *suffix : {"", "-wal", "-shm"}) {
      struct stat status {};
      REQUIRE(::stat((file.string() + suffix).c_str(), &status) == 0);
      CHECK((status.st_mode & 0777) == 0600);
    }
    CHECK(db.queryInt("SELECT x FROM t") == 7);
  }
  // A clean end leaves one file: the writer closes last and folds the log.
  CHECK_FALSE(std::filesystem::exists(file.string() + "-wal"));
  Database again({.file = file});
  CHECK(again.queryInt("SELECT x FROM t") == 7);
  CHECK_NOTHROW(checkIntegrity(again.file()));
}

TEST_CASE("a file that is no database, or cannot be opened, is refused with advice") {
  const TempDir dir;
  { std::ofstream(dir / "text.db") << std::string(5000, 'x'); }
  CHECK(statusOf([&] { Database db({.file = dir / "text.db"}); }) == Status::DataLoss);
  CHECK(statusOf([&] { Database db({.file = dir / "none" / "x.db"}); }) == Status::NotFound);
  std::filesystem::create_directory(dir / "folder.db");
  CHECK(statusOf([&] { Database db({.file = dir / "folder.db"}); }) != Status::Ok);
}
