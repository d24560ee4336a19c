// The log on a real database: what is written follows what was, and whatever is done to it is found.
#include "audit/Store.h"
#include "audit/Verification.h"
#include "audit/Writer.h"
#include "support/Errors.h"
#include "support/TempDir.h"
#include "support/Wait.h"
#include "unit/orchestrator/TestHost.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::audit;
using test::eventually;
namespace fs = std::filesystem;

namespace {

constexpr std::chrono::hours kLong{24 * 400};

class Chronicle {
  test::TempDir dir_;
  fs::path file_ = dir_ / "one.db";

public:
  Chronicle() { open(); }

  void open() {
    host = std::make_unique<test::TestHost>(file_);
    store = std::make_unique<Store>(host->abi());
    store->migrate();
    writer = std::make_unique<Writer>(host->abi(), *store, HeadFile(head()), [this] { return Thinning::Time(now); });
  }
  void start(std::chrono::milliseconds keep = kLong, const Thinning::Settings &thinning = {}) {
    writer->start({keep, thinning});
  }
  void close() {
    writer.reset();
    store.reset();
    host.reset();
  }
  fs::path head() const { return dir_ / "audit.head"; }
  const fs::path &file() const { return file_; }

  /// How it went, once it is durable.
  std::future<Status> send(const std::string &action, const std::string &principal = "uid:0") const {
    auto promise = std::make_shared<std::promise<Status>>();
    auto result = promise->get_future();
    withCompletion([promise](const Outcome &outcome) { promise->set_value(outcome.status); },
                   [&](mos_completion done, mos_error *error) {
                     return Completion::command(done, error, [&](Completion &later) {
                       writer->take(R"({"action":")" + action + R"(","principal":")" + principal + R"("})", &later);
                     });
                   });
    return result;
  }
  void fill(int count) const {
    for (int i = 1; i <= count; ++i)
      REQUIRE(send("act " + std::to_string(i)).get() == Status::Ok);
  }
  /// "5: is missing …", or "".
  std::string verify(std::int64_t from = 0) const {
    const HeadFile file(head());
    Verification verification(*store, file);
    const auto fault = verification.run(from);
    return fault ? std::to_string(fault->seq) + ": " + fault->what : "";
  }
  /// As somebody who has the file.
  void tamper(const std::string &sql) const {
    sqlite3 *db = nullptr;
    REQUIRE(sqlite3_open(file_.c_str(), &db) == SQLITE_OK);
    char *why = nullptr;
    const int result = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &why);
    const std::string what = why == nullptr ? "" : why;
    CAPTURE(sql);
    CAPTURE(what);
    CHECK(result == SQLITE_OK);
    sqlite3_free(why);
    sqlite3_close(db);
  }
  /// Every hash from that row on is made to fit again.
  void rehash(std::int64_t from) const {
    Link before = store->find(from - 1).value_or(Link{});
    for (const Row &row : store->after(from - 1, 1000)) {
      const Row fresh = chain(before, row.link.seq, row.record);
      tamper("UPDATE audit_log SET hash = '" + fresh.link.hash + "' WHERE seq = " + std::to_string(row.link.seq));
      before = fresh.link;
    }
  }

  std::atomic<std::chrono::steady_clock::duration> now{std::chrono::hours{1}}; ///< the writer's clock
  std::unique_ptr<test::TestHost> host;
  std::unique_ptr<Store> store;
  std::unique_ptr<Writer> writer;
};

/// As much of the text as it should begin with.
std::string front(const std::string &text, const std::string &with) {
  return text.substr(0, with.size());
}

struct Tampering {
  const char *name;
  std::function<void(const Chronicle &)> what;
  const char *found;
};

std::function<void(const Chronicle &)> sql(std::string text) {
  return [text = std::move(text)](const Chronicle &log) { log.tamper(text); };
}

const std::vector<Tampering> &tamperings() {
  static const std::vector<Tampering> all{
      {"a text of a row", sql("UPDATE audit_log SET event = '{}' || ' ' WHERE seq = 3"), "3: does not fit"},
      {"who it was", sql("UPDATE audit_log SET principal = 'uid:7' WHERE seq = 3"), "3: does not fit"},
      {"when it was", sql("UPDATE audit_log SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 1"), "1: does not fit"},
      {"the last row", sql("UPDATE audit_log SET action = 'x' WHERE seq = 5"), "5: does not fit"},
      {"a hash", sql("UPDATE audit_log SET hash = replace(hash, 'a', 'b') || '0' WHERE seq = 2"), "2: does not fit"},
      {"a row goes", sql("DELETE FROM audit_log WHERE seq = 3"), "3: is missing"},
      {"the first rows go", sql("DELETE FROM audit_log WHERE seq <= 2"), "1: is missing, as are all up to row 2"},
      {"the tail goes", sql("DELETE FROM audit_log WHERE seq >= 4"), "4: is missing"},
      {"the last row goes", sql("DELETE FROM audit_log WHERE seq = 5"), "5: is missing"},
      {"all rows go", sql("DELETE FROM audit_log"), "1: is missing"},
      {"two rows change places",
       sql("UPDATE audit_log SET seq = 100 WHERE seq = 2; UPDATE audit_log SET seq = 2 WHERE seq = 3; "
           "UPDATE audit_log SET seq = 3 WHERE seq = 100"),
       "2: does not fit"},
      {"a row comes first",
       sql("INSERT INTO audit_log SELECT 0, at, principal, handle, action, event, hash FROM "
           "audit_log WHERE seq = 1"),
       "0: does not belong"},
      {"a row comes in between",
       sql("UPDATE audit_log SET seq = -seq WHERE seq >= 3; UPDATE audit_log SET seq = 1 - seq WHERE seq < 0; "
           "INSERT INTO audit_log SELECT 3, at, principal, handle, action, event, hash FROM audit_log WHERE seq = 2"),
       "3: does not fit"},
      {"a row comes last",
       [](const Chronicle &log) {
         log.tamper(
             "INSERT INTO audit_log SELECT 6, at, 'uid:7', handle, action, event, hash FROM audit_log WHERE seq = "
             "5");
         log.rehash(6);
       },
       "6: was not written by the platform"},
      {"the last row with its hash",
       [](const Chronicle &log) {
         log.tamper("UPDATE audit_log SET principal = 'uid:7' WHERE seq = 5");
         log.rehash(5);
       },
       "5: was changed together with its hash"},
      {"a row and all hashes",
       [](const Chronicle &log) {
         log.tamper("UPDATE audit_log SET principal = 'uid:7' WHERE seq = 2");
         log.rehash(2);
       },
       "5: was changed together with its hash"},
      {"a row goes, and the others close up",
       [](const Chronicle &log) {
         log.tamper("DELETE FROM audit_log WHERE seq = 2; UPDATE audit_log SET seq = seq - 1 WHERE seq > 2");
         log.rehash(1);
       },
       "5: is missing"}};
  return all;
}

} // namespace

TEST_CASE("what is said to be kept is there, in one chain, also after a restart") {
  Chronicle log;
  log.start();
  log.fill(3);
  CHECK(log.verify() == "");
  std::vector<std::future<Status>> many;
  for (int i = 0; i < 500; ++i)
    many.push_back(log.send("many"));
  for (auto &one : many)
    CHECK(one.get() == Status::Ok);
  CHECK(log.verify() == "");
  log.close();
  log.open();
  log.start();
  log.fill(1);
  CHECK(log.verify() == "");
  CHECK(log.verify(500) == "");
  CHECK(log.store->tail()->seq == 504);
  CHECK(log.host->metric("matrixos_audit_records_total") == 1);
}

TEST_CASE("whatever is done to the table is found, and the first row is named, also after the daemon has gone on") {
  for (const Tampering &tampering : tamperings()) {
    const std::string name = tampering.name;
    CAPTURE(name);
    Chronicle log;
    log.start();
    log.fill(5);
    log.writer->stop();
    REQUIRE(log.verify() == "");
    tampering.what(log);
    CHECK(front(log.verify(), tampering.found) == tampering.found);
    log.close();
    log.open();
    log.start();
    CHECK(front(log.verify(), tampering.found) == tampering.found);
    log.fill(2);
    CHECK(front(log.verify(), tampering.found) == tampering.found);
    // What comes after stands again.
    const std::int64_t fresh = log.store->tail()->seq - 1;
    CHECK(log.verify(fresh) == "");
  }
}

TEST_CASE("another database, or an older copy of it, is found") {
  Chronicle log, other;
  for (Chronicle *one : {&log, &other}) {
    one->start();
    one->fill(5);
  }
  other.fill(2);
  other.close();
  log.close();
  const fs::path copy = log.file().string() + ".copy";
  fs::copy_file(log.file(), copy);
  for (const bool older : {true, false}) {
    CAPTURE(older);
    log.open();
    log.start();
    log.fill(1);
    log.close();
    fs::copy_file(older ? copy : other.file(), log.file(), fs::copy_options::overwrite_existing);
    log.open();
    CHECK(front(log.verify(), "6: ") == "6: ");
    log.start();
    CHECK(log.verify() != "");
    log.fill(1);
    CHECK(log.verify() != "");
    CHECK(log.host->log().find("the audit log is broken") != std::string::npos);
    // As if it had not happened, for the next round.
    log.close();
    fs::remove(log.file().string() + "-wal");
    fs::copy_file(copy, log.file(), fs::copy_options::overwrite_existing);
    fs::remove(log.head());
    log.open();
    const Link tail = *log.store->tail();
    HeadFile(log.head()).write({tail, std::nullopt});
    log.close();
  }
}

TEST_CASE("a file that is gone or damaged is found, and stays visible") {
  for (const char *text : {"", "{\"seq\":5}"}) {
    Chronicle log;
    log.start();
    log.fill(5);
    log.writer->stop();
    fs::remove(log.head());
    if (*text != '\0') test::writeFile(log.head(), text);
    log.close();
    log.open();
    log.start();
    log.fill(1);
    CHECK(front(log.verify(), "6: tells that the log was broken: ") == "6: tells that the log was broken: ");
    CHECK(log.verify(7) == "");
  }
}

TEST_CASE("a crash at any moment of a step leaves nothing that looks like a change") {
  Chronicle log;
  log.start();
  log.fill(3);
  log.writer->stop();
  const HeadFile head(log.head());
  const Link second = *log.store->find(2), third = *log.store->find(3);
  SUBCASE("before the rows were written") {
    head.write({third, Link{4, std::string(64, 'a')}});
  }
  SUBCASE("after the rows were written") {
    head.write({second, third});
  }
  CHECK(log.verify() == "");
  log.close();
  log.open();
  log.start();
  log.fill(2);
  CHECK(log.verify() == "");
  CHECK(log.store->tail()->seq == 5);
}

TEST_CASE("a full disk is told to who waits and to operators, and what happened meanwhile is written later") {
  Chronicle log;
  std::atomic<bool> full{false};
  log.host->onBatch([&](const std::string &) {
    if (full) throw Error(Status::ResourceExhausted, "the disk is full", "DISK_FULL");
  });
  log.start();
  log.fill(2);
  full = true;
  CHECK(log.send("lost?").get() == Status::ResourceExhausted);
  CHECK(log.host->degraded().find("the audit log takes no records: the disk is full") != std::string::npos);
  full = false;
  CHECK(eventually([&] { return log.store->latest("lost?").has_value(); }));
  CHECK(eventually([&] { return log.host->degraded().empty(); }));
  log.fill(1);
  CHECK(log.verify() == "");
  CHECK(log.store->tail()->seq == 4);
}

TEST_CASE("what was kept once is kept through a full disk, and written once") {
  Chronicle log;
  std::atomic<int> refused{0};
  std::atomic<bool> full{true};
  log.host->onBatch([&](const std::string &) {
    if (!full) return;
    ++refused;
    throw Error(Status::ResourceExhausted, "the disk is full", "DISK_FULL");
  });
  log.start(kLong, {1, std::chrono::hours{1}});
  CHECK(log.send("GET /containers/:handle").get() == Status::ResourceExhausted);
  CHECK(log.send("POST /webhooks/clerk", "").get() == Status::ResourceExhausted);
  // One more stranger than there is place for; how many they were is told a minute later.
  CHECK(log.send("POST /webhooks/clerk", "").get() == Status::ResourceExhausted);
  const int before = refused;
  CHECK(eventually([&] { return refused > before + 1; }));
  full = false;
  CHECK(eventually([&] { return log.host->degraded().empty(); }));
  const auto actions = [&] {
    std::string all;
    for (const Row &row : log.store->after(0, 100))
      all += row.record.action + ", ";
    return all;
  };
  std::string written = "GET /containers/:handle, POST /webhooks/clerk, ";
  CHECK(actions() == written);

  log.now = log.now.load() + std::chrono::minutes{2};
  CHECK(log.send("later").get() == Status::Ok);
  REQUIRE(eventually([&] { return log.store->latest(kLeftOut).has_value(); }));
  CHECK(givenText(log.store->latest(kLeftOut)->record, "count") == "1");
  CHECK(log.host->metric("matrixos_audit_left_out_total") == 1);
  written += std::string("later, ") + kLeftOut + ", ";
  CHECK(actions() == written);
  CHECK(log.verify() == "");
}

TEST_CASE("a count of strangers that cannot be written is written later") {
  Chronicle log;
  std::atomic<bool> full{false};
  std::atomic<int> refused{0};
  int batches = 0;
  log.host->onBatch([&](const std::string &) {
    // The batch after the one of "later" is the count's.
    if (full && ++batches > 1 && ++refused < 3) throw Error(Status::ResourceExhausted, "the disk is full", "DISK_FULL");
  });
  log.start(kLong, {0, std::chrono::hours{1}});
  CHECK(log.send("POST /webhooks/clerk", "").get() == Status::Ok);
  log.now = log.now.load() + std::chrono::minutes{2};
  full = true;
  CHECK(log.send("later").get() == Status::Ok);
  REQUIRE(eventually([&] { return log.store->latest(kLeftOut).has_value(); }));
  CHECK(givenText(log.store->latest(kLeftOut)->record, "count") == "1");
  CHECK(log.store->tail()->seq == 2);
}

TEST_CASE("a step of which nobody knows whether it was taken is taken once") {
  Chronicle log;
  log.start();
  log.fill(2);
  const fs::path folder = log.head().string() + ".new";
  // The file cannot be written: the row is not either.
  fs::create_directory(folder);
  CHECK(log.send("once").get() != Status::Ok);
  CHECK(log.store->tail()->seq == 2);
  fs::remove(folder);
  CHECK(eventually([&] { return log.store->latest("once").has_value(); }));
  log.fill(1);
  CHECK(log.store->tail()->seq == 4);
  CHECK(log.verify() == "");
}

TEST_CASE("what is old goes, and the chain begins with what is left") {
  Chronicle log;
  log.start();
  log.fill(5);
  log.close();
  log.open();
  log.start(std::chrono::milliseconds{0});
  CHECK(eventually([&] { return log.store->latest(kCut).has_value(); }));
  const Row cut = *log.store->latest(kCut);
  CHECK(cut.link.seq == 6);
  CHECK(givenText(cut.record, "seq") == "5");
  CHECK(log.store->after(0, 10).size() == 1);
  log.fill(3);
  CHECK(log.verify() == "");
  for (const std::int64_t from : {1, 7, 10})
    CHECK(log.verify(from) == "");
  CHECK(std::string(test::errorOf([&] { log.verify(6); }).what()) ==
        "there is no row 5; \"from\" (--from) takes 7 to 10");
  CHECK(std::string(test::errorOf([&] { log.verify(11); }).what()) ==
        "there is no row 10; \"from\" (--from) takes 7 to 10");
  SUBCASE("what was cut cannot be said to have been more") {
    log.tamper("DELETE FROM audit_log WHERE seq <= 7");
    CHECK(front(log.verify(), "1: is missing") == "1: is missing");
  }
  SUBCASE("nor can it be said otherwise") {
    log.tamper("UPDATE audit_log SET event = replace(event, '\"5\"', '\"3\"') WHERE seq = 6");
    CHECK(front(log.verify(), "4: is missing") == "4: is missing");
  }
  SUBCASE("nor come back") {
    log.tamper(
        "INSERT INTO audit_log SELECT 5, at, principal, handle, action, event, hash FROM audit_log WHERE seq = 7");
    CHECK(front(log.verify(), "5: does not belong here") == "5: does not belong here");
  }
}

TEST_CASE("what was made to look old does not go") {
  Chronicle log;
  log.start();
  log.fill(5);
  log.tamper("UPDATE audit_log SET at = '2000-01-01T00:00:00.000Z' WHERE seq <= 2");
  log.close();
  log.open();
  log.start();
  CHECK(eventually([&] { return log.host->log().find("nothing old is removed") != std::string::npos; }));
  log.fill(1);
  CHECK(!log.store->latest(kCut));
  CHECK(front(log.verify(), "1: does not fit") == "1: does not fit");
}

TEST_CASE("the list is filtered, newest first, page by page") {
  Chronicle log;
  log.start();
  log.fill(12);
  const auto found = [&](const Filter &filter) {
    std::string numbers;
    for (const Row &row : log.store->list(filter))
      numbers += std::to_string(row.link.seq) + " ";
    return numbers;
  };
  Filter filter;
  filter.limit = 3;
  CHECK(found(filter) == "12 11 10 ");
  filter.before = 10;
  CHECK(found(filter) == "9 8 7 ");
  filter = {};
  filter.action = "act 1";
  CHECK(found(filter) == "1 ");
  filter.action = "act 1*";
  CHECK(found(filter) == "12 11 10 1 ");
  filter.action = "act 1%";
  CHECK(found(filter).empty());
  filter = {};
  filter.principal = "uid:7";
  CHECK(found(filter).empty());
  filter = {};
  filter.since = "2999-01-01T00:00:00.000Z";
  CHECK(found(filter).empty());
}
