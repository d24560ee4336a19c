#include "storage/Database.h"
#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

namespace {

template <typename Body>
void inThreads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&body, i] { body(i); });
  for (auto &thread : threads)
    thread.join();
}

} // namespace

TEST_CASE("compare-and-set from eight threads: nothing is lost and nothing counted twice") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.execBatch({{"CREATE TABLE counter (value INTEGER)"}, {"INSERT INTO counter VALUES (0)"}});
  std::atomic<int> wins{0};
  std::atomic<int> losses{0};
  inThreads(8, [&](int) {
    for (int done = 0; done < 25;) {
      const auto value = db.queryInt("SELECT value FROM counter").value();
      try {
        db.exec("UPDATE counter SET value = ? WHERE value = ?", {value + 1, value}, 1);
        ++wins;
        ++done;
      } catch (const Error &e) {
        if (e.reason() != "EXPECTATION") throw;
        ++losses;
      }
    }
  });
  CHECK(wins == 200);
  CHECK(db.queryInt("SELECT value FROM counter") == 200);
  MESSAGE("lost races: " << losses.load());
}

TEST_CASE("eight threads allocate the lowest free port: none is handed out twice") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.exec("CREATE TABLE port (number INTEGER PRIMARY KEY, owner TEXT)");
  const std::string lowestFree =
      "INSERT INTO port SELECT coalesce((SELECT min(p.number) + 1 FROM (SELECT 4000 AS number UNION ALL SELECT number "
      "FROM port) p WHERE NOT EXISTS (SELECT 1 FROM port q WHERE q.number = p.number + 1)), 4001), ?";
  inThreads(8, [&](int thread) {
    for (int i = 0; i < 20; ++i)
      db.exec(lowestFree, {std::to_string(thread)}, 1);
  });
  CHECK(db.queryInt("SELECT count(*) FROM port") == 160);
  CHECK(db.queryInt("SELECT min(number) FROM port") == 4001);
  CHECK(db.queryInt("SELECT max(number) FROM port") == 4160);
}

TEST_CASE("batches share transactions, and a failing one fails alone") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.execBatch({{"CREATE TABLE item (id INTEGER PRIMARY KEY)"},
                {"CREATE TABLE part (item INTEGER REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED)"},
                {"INSERT INTO item VALUES (0)"}});
  std::atomic<int> accepted{0};
  std::atomic<int> wrong{0};
  // Of every five batches one breaks a unique key, one a deferred foreign key (which fails at commit), one rolls the
  // whole transaction back, one does not meet its expectation, and one is good.
  inThreads(8, [&](int thread) {
    for (int i = 0; i < 50; ++i) {
      const int id = 1 + thread * 1000 + i;
      Statement second{"SELECT 1"};
      switch (i % 5) {
      case 0:
        second = {"INSERT INTO item VALUES (0)"};
        break;
      case 1:
        second = {"INSERT INTO part VALUES (-1)"};
        break;
      case 2:
        second = {"INSERT OR ROLLBACK INTO item VALUES (0)"};
        break;
      case 3:
        second = {"UPDATE item SET id = id WHERE id = -1", {}, 1};
        break;
      default:
        break;
      }
      const Status status = statusOf([&] { db.execBatch({{"INSERT INTO item VALUES (?)", {id}, 1}, second}); });
      if ((status == Status::Ok) != (i % 5 == 4)) ++wrong;
      if (status == Status::Ok) ++accepted;
    }
  });
  CHECK(wrong == 0);
  CHECK(accepted == 80);
  CHECK(db.queryInt("SELECT count(*) FROM item") == 81);
  CHECK(db.queryInt("SELECT count(*) FROM item WHERE id > 0 AND (id - 1) % 1000 % 5 <> 4") == 0);
  const auto counts = db.counts();
  CHECK(counts.batches == 401);
  MESSAGE("401 batches in " << counts.transactions << " transactions");
}

TEST_CASE("batches of one caller are seen by its next read, and readers see whole batches only") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.execBatch({{"CREATE TABLE pair (a INTEGER, b INTEGER)"}, {"INSERT INTO pair VALUES (0, 0)"}});
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::atomic<int> stale{0};
  std::thread reader([&] {
    while (!stop) {
      db.query("SELECT a, b FROM pair", {}, [&](const Row &row) {
        if (row.integer(0) != row.integer(1)) ++torn;
        return true;
      });
    }
  });
  for (int i = 1; i <= 200; ++i) {
    db.execBatch({{"UPDATE pair SET a = ?", {i}, 1}, {"UPDATE pair SET b = ?", {i}, 1}});
    if (db.queryInt("SELECT a FROM pair") != i) ++stale;
  }
  stop = true;
  reader.join();
  CHECK(torn == 0);
  CHECK(stale == 0);
}

TEST_CASE("the log is checkpointed while the database is in use") {
  const TempDir dir;
  const auto file = dir / "test.db";
  Database db({.file = file});
  db.exec("CREATE TABLE big (data BLOB)");
  for (int i = 0; i < 30; ++i)
    db.exec("INSERT INTO big VALUES (zeroblob(1000000))");
  CHECK(eventually([&] { return db.counts().checkpoints > 0; }));
  CHECK(std::filesystem::file_size(file) > 10'000'000);
  CHECK(std::filesystem::file_size(file.string() + "-wal") < 20'000'000);
}

TEST_CASE("the end of the database waits for batches that are queued") {
  const TempDir dir;
  auto db = std::make_unique<Database>(DatabaseOptions{.file = dir / "test.db"});
  db->exec("CREATE TABLE t (x)");
  std::atomic<int> acknowledged{0};
  inThreads(4, [&](int) {
    for (int i = 0; i < 10; ++i) {
      db->exec("INSERT INTO t VALUES (1)");
      ++acknowledged;
    }
  });
  db.reset();
  Database again({.file = dir / "test.db"});
  CHECK(again.queryInt("SELECT count(*) FROM t") == acknowledged.load());
}

namespace {

/// Never ends by itself.
const std::string kEndless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) ";

} // namespace

TEST_CASE("a query without end is ended, by its time, its deadline, who asked for it, and between its rows") {
  const TempDir dir;
  const Database db({.file = dir / "test.db"});
  const auto run = [&](
                       const Access &access, const RowFn &row = [](const Row &) { return true; }) {
    return errorOf([&] { db.query(kEndless + "SELECT n FROM c WHERE n < 0", {}, row, access); });
  };
  const Error timed = run({.owner = "evil", .runFor = std::chrono::milliseconds{50}});
  CHECK(timed.status() == Status::DeadlineExceeded);
  CHECK(timed.reason() == "QUERY_TIMEOUT");
  CHECK(std::string(timed.what()).find("longer than 50 ms") != std::string::npos);
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds{50};
  CHECK(run({.owner = "evil", .deadline = soon}).status() == Status::DeadlineExceeded);
  std::atomic<bool> asked{false};
  CHECK(run({.owner = "evil", .cancelled = [&] { return asked.exchange(true); }}).status() == Status::Cancelled);
  const Error row = errorOf([&] {
    db.query(kEndless + "SELECT n FROM c", {}, [](const Row &) { return true; },
             {.owner = "evil", .runFor = std::chrono::milliseconds{50}});
  });
  CHECK(row.status() == Status::DeadlineExceeded);
  CHECK(db.queryInt("SELECT 7") == 7);
}

TEST_CASE("batches without end hold up nobody else's for longer than one of them may run") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.execBatch({{"CREATE TABLE evil_t (x)"}}, {.owner = "evil"});
  db.execBatch({{"CREATE TABLE good_t (x)"}}, {.owner = "good"});
  const Access evil{.owner = "evil", .runFor = std::chrono::milliseconds{300}};
  std::atomic<int> ended{0}, others{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const Error error =
            errorOf([&] { db.execBatch({{kEndless + "INSERT INTO evil_t SELECT n FROM c WHERE n < 0"}}, evil); });
        if (error.reason() == "QUERY_TIMEOUT")
          ++ended;
        else
          ++others;
      }
    });
  }
  int fewest = 6;
  for (int i = 0; i < 5; ++i) {
    CHECK(eventually([&, before = ended.load()] { return ended > before; }));
    const int before = ended;
    db.execBatch({{"INSERT INTO good_t VALUES (1)", {}, 1}}, {.owner = "good"});
    // The one that ran, and one that was taken up before ours came. A busy machine may let more pass before we ask.
    fewest = std::min(fewest, ended - before);
  }
  CHECK(fewest <= 2);
  stop = true;
  for (std::thread &thread : threads)
    thread.join();
  CHECK(others == 0);
  CHECK(db.queryInt("SELECT count(*) FROM good_t") == 5);
  CHECK(db.queryInt("SELECT count(*) FROM evil_t") == 0);
}

TEST_CASE("a batch whose deadline passes while it waits is not begun") {
  const TempDir dir;
  Database db({.file = dir / "test.db"});
  db.exec("CREATE TABLE t (x)");
  std::atomic<bool> goOn{false}, running{false};
  std::thread slow([&] {
    const Access access{.owner = "", .cancelled = [&] {
                          running = true;
                          return goOn.load();
                        }};
    CHECK(errorOf([&] { db.execBatch({{kEndless + "INSERT INTO t SELECT n FROM c WHERE n < 0"}}, access); }).status() ==
          Status::Cancelled);
  });
  CHECK(eventually([&] { return running.load(); }));
  const auto passed = std::chrono::steady_clock::now();
  CHECK(errorOf([&] { db.execBatch({{"INSERT INTO t VALUES (1)"}}, {.owner = "", .deadline = passed}); }).status() ==
        Status::DeadlineExceeded);
  goOn = true;
  slow.join();
  CHECK(db.queryInt("SELECT count(*) FROM t") == 0);
}
