#include "storage/Backup.h"
#include "storage/Database.h"
#include "unit/common/Fixtures.h"
#include "unit/storage/ChildProcess.h"
#include "unit/storage/Integrity.h"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

TEST_CASE("child: writes pairs until it is killed" * doctest::skip()) {
  if (childArgument().empty()) return;
  Database db({.file = childArgument()});
  db.exec("CREATE TABLE IF NOT EXISTS a (id INTEGER PRIMARY KEY, filler BLOB)");
  db.exec("CREATE TABLE IF NOT EXISTS b (id INTEGER PRIMARY KEY REFERENCES a (id))");
  std::atomic<std::int64_t> next{db.queryInt("SELECT max(id) FROM a").value_or(0) + 1};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (;;) {
        const std::int64_t id = next++;
        // 20 KB each, so that checkpoints are among the moments that are hit.
        db.execBatch({{"INSERT INTO a VALUES (?, zeroblob(20000))", {id}, 1}, {"INSERT INTO b VALUES (?)", {id}, 1}});
        say("ack " + std::to_string(id));
      }
    });
  }
  for (auto &thread : threads)
    thread.join();
}

TEST_CASE("kill -9 in the middle of batches: what was acknowledged is there, whole, and the file is intact") {
  const TempDir dir;
  const auto file = dir / "test.db";
  std::set<std::int64_t> acknowledged;
  for (int round = 0; round < 8; ++round) {
    CAPTURE(round);
    ChildProcess child("child: writes pairs until it is killed", file.string());
    std::string line;
    const int rounds = 30 + round * 37;
    for (int i = 0; i < rounds && child.readUntil("ack ", line); ++i)
      acknowledged.insert(std::stoll(line.substr(4)));
    child.kill();
    while (child.readUntil("ack ", line))
      acknowledged.insert(std::stoll(line.substr(4)));
    const Database db({.file = file});
    CHECK_NOTHROW(checkIntegrity(db.file()));
    CHECK(db.queryInt("SELECT count(*) FROM a") == db.queryInt("SELECT count(*) FROM b"));
    std::int64_t missing = 0;
    for (const auto id : acknowledged) {
      if (db.queryInt("SELECT count(*) FROM b WHERE id = ?", {id}) != 1) ++missing;
    }
    CHECK(missing == 0);
  }
  CHECK(acknowledged.size() >= 8 * 30);
  MESSAGE("acknowledged and found: " << acknowledged.size());
}

namespace {

const std::vector<Migration> kOldSteps{
    {1, "items", "CREATE TABLE item (id INTEGER PRIMARY KEY); INSERT INTO item VALUES (7)"}};
const std::vector<Migration> kNewSteps{kOldSteps[0],
                                       {2, "names", "ALTER TABLE item ADD COLUMN name TEXT; CREATE TABLE extra (x)"},
                                       {3, "more", "CREATE TABLE more (x)"}};

} // namespace

TEST_CASE("child: migrates" * doctest::skip()) {
  if (childArgument().empty()) return;
  Database db({.file = childArgument()});
  db.migrate("one", kNewSteps);
}

TEST_CASE("a crash at any point of a migration leaves the old tables or the new ones, and it can be run again") {
  for (const char *failpoint : {"db.backup_mid", "db.backup_prerename", "db.migrate_mid:1", "db.migrate_mid:2",
                                "db.migrate_preversion:1", "db.migrate_preversion:2", "db.migrate_precommit"}) {
    CAPTURE(std::string(failpoint));
    const TempDir dir;
    const auto file = dir / "test.db";
    {
      Database db({.file = file});
      db.migrate("one", kOldSteps);
    }
    CHECK(ChildProcess("child: migrates", file.string(), failpoint).wait() == -1);
    Database db({.file = file});
    CHECK_NOTHROW(checkIntegrity(db.file()));
    CHECK(db.queryInt("SELECT max(version) FROM schema_migrations") == 1);
    CHECK(db.queryInt("SELECT count(*) FROM sqlite_master WHERE name IN ('extra', 'more')") == 0);
    CHECK(db.queryInt("SELECT id FROM item") == 7);
    CHECK_NOTHROW(db.migrate("one", kOldSteps));
    db.migrate("one", kNewSteps);
    CHECK(db.queryInt("SELECT max(version) FROM schema_migrations") == 3);
    const Database backup({.file = file.string() + ".backup-one-1"});
    CHECK(backup.queryInt("SELECT id FROM item") == 7);
  }
}

TEST_CASE("a crash between commit and answer, or before a checkpoint, loses nothing and changes nothing twice") {
  for (const char *failpoint : {"db.committed:5", "db.committed:40", "db.checkpoint:1", "db.checkpoint:3"}) {
    CAPTURE(std::string(failpoint));
    const TempDir dir;
    const auto file = dir / "test.db";
    ChildProcess child("child: writes pairs until it is killed", file.string(), failpoint);
    std::set<std::int64_t> acknowledged;
    std::string line;
    while (child.readUntil("ack ", line))
      acknowledged.insert(std::stoll(line.substr(4)));
    CHECK(child.wait() == -1);
    const Database db({.file = file});
    CHECK_NOTHROW(checkIntegrity(db.file()));
    CHECK(db.queryInt("SELECT count(*) FROM a") == db.queryInt("SELECT count(*) FROM b"));
    for (const auto id : acknowledged)
      CHECK(db.queryInt("SELECT id FROM b WHERE id = ?", {id}) == id);
  }
}

TEST_CASE("child: restores" * doctest::skip()) {
  if (childArgument().empty()) return;
  restoreBackup(childArgument() + ".copy", childArgument());
}

TEST_CASE("a crash just before a restored database takes its place leaves the old one") {
  const TempDir dir;
  const auto file = dir / "test.db";
  {
    Database db({.file = file});
    db.execBatch({{"CREATE TABLE t (x)"}, {"INSERT INTO t VALUES (1)"}});
    db.backup(file.string() + ".copy");
    db.exec("INSERT INTO t VALUES (2)");
  }
  CHECK(ChildProcess("child: restores", file.string(), "db.restore_prerename").wait() == -1);
  CHECK(Database({.file = file}).queryInt("SELECT count(*) FROM t") == 2);
  CHECK(ChildProcess("child: restores", file.string()).wait() == 0);
  CHECK(Database({.file = file}).queryInt("SELECT count(*) FROM t") == 1);
}
