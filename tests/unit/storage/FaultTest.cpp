#include "storage/Database.h"
#include "unit/common/Fixtures.h"
#include "unit/storage/ChildProcess.h"
#include "unit/storage/Integrity.h"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <thread>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;
using namespace std::chrono_literals;

namespace {

/// A small file system that is really full when it is full. Needs root.
class SmallDisk {
public:
  explicit SmallDisk(const std::filesystem::path &path) : path_(path) {
    std::filesystem::create_directories(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk &) = delete;
  SmallDisk &operator=(const SmallDisk &) = delete;
  bool mounted() const { return mounted_; }

private:
  std::filesystem::path path_;
  bool mounted_ = false;
};

/// Writes until the disk is full; how many batches were acknowledged before.
int fillUp(Database &db, Error &failure) {
  int acknowledged = 0;
  for (; acknowledged < 10'000; ++acknowledged) {
    failure = errorOf([&] { db.exec("INSERT INTO t VALUES (zeroblob(50000))", {}, 1); });
    if (failure.status() != Status::Ok) break;
  }
  return acknowledged;
}

using Handle = std::unique_ptr<sqlite3, int (*)(sqlite3 *)>;

/// Another program that has the file open.
Handle openOutside(const std::filesystem::path &file) {
  sqlite3 *raw = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
  return {raw, &sqlite3_close};
}

void outside(const Handle &handle, const char *sql) {
  REQUIRE(sqlite3_exec(handle.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK);
}

} // namespace

TEST_CASE("a full disk is an error that says so, loses nothing, and passes once there is room") {
  const TempDir dir;
  const SmallDisk disk(dir / "disk");
  if (!disk.mounted()) {
    MESSAGE("skipped: mounting a file system needs root");
    return;
  }
  const auto folder = dir / "disk";
  { std::ofstream(folder / "ballast") << std::string(500'000, 'x'); }
  Database db({.file = folder / "test.db"});
  db.exec("CREATE TABLE t (data BLOB)");
  Error failure(Status::Ok, "");
  const int acknowledged = fillUp(db, failure);
  CHECK(acknowledged > 0);
  CHECK(failure.status() == Status::ResourceExhausted);
  CHECK(failure.reason() == "DISK_FULL");
  CHECK(db.queryInt("SELECT count(*) FROM t") == acknowledged);
  // Many at once: all of them get the answer, none hangs.
  std::atomic<int> full{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const Status status = statusOf([&] { db.exec("INSERT INTO t VALUES (zeroblob(400000))"); });
      if (status == Status::ResourceExhausted) ++full;
    });
  }
  for (auto &thread : threads)
    thread.join();
  CHECK(full == 4);
  CHECK(statusOf([&] { db.backup(folder / "copy.db"); }) == Status::ResourceExhausted);
  CHECK_FALSE(std::filesystem::exists(folder / "copy.db"));
  std::filesystem::remove(folder / "ballast");
  CHECK(db.exec("INSERT INTO t VALUES (zeroblob(50000))", {}, 1) == 1);
  CHECK(db.queryInt("SELECT count(*) FROM t") == acknowledged + 1);
  CHECK_NOTHROW(checkIntegrity(db.file()));
}

TEST_CASE("child: fills a limited file" * doctest::skip()) {
  if (childArgument().empty()) return;
  ::signal(SIGXFSZ, SIG_IGN);
  Database db({.file = childArgument()});
  db.exec("CREATE TABLE t (data BLOB)");
  const rlimit limit{600'000, 600'000};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  Error failure(Status::Ok, "");
  const int acknowledged = fillUp(db, failure);
  say("acknowledged " + std::to_string(acknowledged));
  say("reason " + failure.reason());
}

TEST_CASE("a file that may not grow is an error too, and nothing acknowledged is lost") {
  const TempDir dir;
  ChildProcess child("child: fills a limited file", (dir / "test.db").string());
  std::string line;
  REQUIRE(child.readUntil("acknowledged ", line));
  const int acknowledged = std::stoi(line.substr(13));
  REQUIRE(child.readUntil("reason ", line));
  CHECK(line == "reason DISK_FULL");
  child.wait();
  CHECK(acknowledged > 0);
  const Database db({.file = dir / "test.db"});
  CHECK_NOTHROW(checkIntegrity(db.file()));
  CHECK(db.queryInt("SELECT count(*) FROM t") == acknowledged);
}

TEST_CASE("a database that another program locks is unavailable for writing, readable, and then works again") {
  const TempDir dir;
  const auto file = dir / "test.db";
  Database db({.file = file, .busyTimeout = 20ms});
  db.exec("CREATE TABLE t (x)");
  const Handle other = openOutside(file);
  outside(other, "BEGIN IMMEDIATE");
  std::vector<std::thread> threads;
  std::atomic<int> unavailable{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const Error locked = errorOf([&] { db.exec("INSERT INTO t VALUES (1)"); });
      if (locked.status() == Status::Unavailable && locked.reason() == "DB_LOCKED" && locked.retryAfterMs() > 0) {
        ++unavailable;
      }
    });
  }
  for (auto &thread : threads)
    thread.join();
  CHECK(unavailable == 4);
  CHECK(db.queryInt("SELECT count(*) FROM t") == 0);
  outside(other, "ROLLBACK");
  CHECK(db.exec("INSERT INTO t VALUES (1)", {}, 1) == 1);
}

TEST_CASE("a lock that goes away within the busy time is only waited for") {
  const TempDir dir;
  const auto file = dir / "test.db";
  Database db({.file = file, .busyTimeout = 60s});
  db.exec("CREATE TABLE t (x)");
  const Handle other = openOutside(file);
  outside(other, "BEGIN IMMEDIATE");
  outside(other, "INSERT INTO t VALUES (1)");
  std::thread writer([&] { db.exec("INSERT INTO t VALUES (2)", {}, 1); });
  outside(other, "COMMIT");
  writer.join();
  CHECK(db.queryInt("SELECT count(*) FROM t") == 2);
}

TEST_CASE("what goes into files that somebody took away is not acknowledged, and the reason is told") {
  struct Fault {
    const char *name;
    void (*make)(const std::filesystem::path &file);
    const char *says;
  };
  using std::filesystem::path;
  const Fault faults[] = {
      {"deleted", [](const path &file) { std::filesystem::remove(file); }, "db was deleted"},
      {"replaced",
       [](const path &file) {
         writeFile(file.string() + ".new", "");
         std::filesystem::rename(file.string() + ".new", file);
       },
       "db was replaced by another file"},
      {"moved", [](const path &file) { std::filesystem::rename(file, file.string() + ".old"); }, "db was deleted"},
      {"cut to nothing", [](const path &file) { std::filesystem::resize_file(file, 0); }, "db was cut short"},
      {"cut in the middle", [](const path &file) { std::filesystem::resize_file(file, 5000); }, "db was cut short"},
      {"without its log", [](const path &file) { std::filesystem::remove(file.string() + "-wal"); },
       "db-wal was deleted"},
      {"its log cut to nothing", [](const path &file) { std::filesystem::resize_file(file.string() + "-wal", 0); },
       "db-wal was cut short"},
      {"its log cut in the middle",
       [](const path &file) {
         const path log = file.string() + "-wal";
         std::filesystem::resize_file(log, std::filesystem::file_size(log) - 1);
       },
       "db-wal was cut short"},
      {"its log overwritten",
       [](const path &file) {
         const path log = file.string() + "-wal";
         const auto size = std::filesystem::file_size(log);
         std::filesystem::resize_file(log, 0);
         std::filesystem::resize_file(log, size);
       },
       "db-wal was cut short"}};
  for (const Fault &fault : faults) {
    CAPTURE(std::string(fault.name));
    const TempDir dir;
    DatabaseOptions options;
    options.file = dir / "db";
    {
      Database first(options);
      first.exec("CREATE TABLE t (value)");
      for (int i = 0; i < 20; ++i)
        first.exec("INSERT INTO t VALUES (zeroblob(5000))", {}, 1);
    }
    Database db(options);
    db.exec("INSERT INTO t VALUES (1)", {}, 1);
    CHECK(db.problem().empty());
    fault.make(options.file);
    for (int i = 0; i < 2; ++i) {
      const Error error = errorOf([&] { db.exec("INSERT INTO t VALUES (2)", {}, 1); });
      CHECK(error.status() == Status::Unavailable);
      CHECK(error.reason() == "DB_GONE");
      CHECK_MESSAGE(std::string(error.what()).find(fault.says) != std::string::npos, error.what());
    }
    CHECK(db.problem().find(fault.says) != std::string::npos);
  }
}

TEST_CASE("a database that another program compacts is still the same one") {
  const TempDir dir;
  DatabaseOptions options;
  options.file = dir / "db";
  Database db(options);
  db.exec("CREATE TABLE t (value)");
  for (int i = 0; i < 20; ++i)
    db.exec("INSERT INTO t VALUES (zeroblob(50000))", {}, 1);
  sqlite3 *other = nullptr;
  REQUIRE(sqlite3_open(options.file.c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr) == SQLITE_OK);
  const auto before = std::filesystem::file_size(options.file);
  CHECK(db.problem().empty());
  db.exec("DELETE FROM t", {}, 20);
  REQUIRE(sqlite3_exec(other, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(std::filesystem::file_size(options.file) < before);
  db.exec("INSERT INTO t VALUES (1)", {}, 1);
  CHECK(db.problem().empty());
  sqlite3_close(other);
}
