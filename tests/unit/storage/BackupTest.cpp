
#include "storage/Database.h"
#include "unit/common/Fixtures.h"
#include "unit/storage/Integrity.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
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
