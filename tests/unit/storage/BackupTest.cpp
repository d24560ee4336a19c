#include "storage/Backup.h"

#include "storage/Database.h"
#include "unit/common/Fixtures.h"
#include "unit/storage/Integrity.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

TEST_CASE("a backup taken while batches are written is whole, private and one file") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.execBatch({{"CREATE TABLE a (id INTEGER PRIMARY KEY, filler BLOB)"}, {"CREATE TABLE b (id INTEGER PRIMARY KEY)"}});
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> written{0};
  std::thread writer([&] {
    while (!stop) {
      const std::int64_t id = written + 1;
      db.execBatch({{"INSERT INTO a VALUES (?, zeroblob(5000))", {id}}, {"INSERT INTO b VALUES (?)", {id}}});
      written = id;
    }
  });
  CHECK(eventually([&] { return written > 20; }));
  const auto copy = dir / "copy.db";
  for (int i = 0; i < 3; ++i) {
    const std::int64_t before = written;
    db.backup(copy);
    struct stat status {};
    REQUIRE(::stat(copy.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK_FALSE(std::filesystem::exists(copy.string() + "-wal"));
    const auto opened = dir / "opened.db";
    std::filesystem::copy_file(copy, opened, std::filesystem::copy_options::overwrite_existing);
    const Database saved({.file = opened});
    CHECK_NOTHROW(checkIntegrity(saved.file()));
    CHECK(saved.queryInt("SELECT count(*) FROM a") == saved.queryInt("SELECT count(*) FROM b"));
    CHECK(saved.queryInt("SELECT count(*) FROM a").value() >= before);
  }
  stop = true;
  writer.join();
}

TEST_CASE("a restore brings the backup back and keeps what it replaces") {
  const TempDir dir;
  const auto file = dir / "test.db";
  const auto copy = dir / "copy.db";
  {
    Database db({.file = file});
    db.execBatch({{"CREATE TABLE t (x)"}, {"INSERT INTO t VALUES (1)"}});
    db.backup(copy);
    db.exec("INSERT INTO t VALUES (2)");
  }
  const auto kept = restoreBackup(copy, file);
  {
    const Database restored({.file = file});
    CHECK(restored.queryInt("SELECT count(*) FROM t") == 1);
    const Database old({.file = kept});
    CHECK(old.queryInt("SELECT count(*) FROM t") == 2);
  }
  CHECK(restoreBackup(copy, dir / "fresh.db").empty());
  CHECK(Database({.file = dir / "fresh.db"}).queryInt("SELECT count(*) FROM t") == 1);
}

TEST_CASE("a damaged backup is refused before anything is touched") {
  const TempDir dir;
  const auto file = dir / "test.db";
  const auto copy = dir / "copy.db";
  {
    Database db({.file = file});
    db.exec("CREATE TABLE t (x)");
    for (int i = 0; i < 200; ++i)
      db.exec("INSERT INTO t VALUES (zeroblob(1000))");
    db.backup(copy);
  }
  {
    std::fstream bytes(copy, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(4096 + 8);
    bytes << std::string(4000, '\x5a');
  }
  CHECK(statusOf([&] { restoreBackup(copy, file); }) == Status::DataLoss);
  {
    std::ofstream(dir / "text") << "no database at all, but long enough to have a header of one hundred bytes ........";
  }
  CHECK(statusOf([&] { restoreBackup(dir / "text", file); }) == Status::DataLoss);
  CHECK(statusOf([&] { restoreBackup(dir / "none", file); }) != Status::Ok);
  CHECK(Database({.file = file}).queryInt("SELECT count(*) FROM t") == 200);
  for (const auto &entry : std::filesystem::directory_iterator(dir.path())) {
    CHECK(entry.path().string().find(".tmp-") == std::string::npos);
    CHECK(entry.path().string().find("before-restore") == std::string::npos);
  }
}
