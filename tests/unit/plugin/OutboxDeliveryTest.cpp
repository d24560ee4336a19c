#include "plugin/OutboxDelivery.h"

#include "storage/Database.h"
#include "support/Errors.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::plugin;
using namespace matrixos::test;
using std::chrono::milliseconds;
using storage::OutboxStore;
using Outcome = OutboxDelivery::Outcome;
using Verdict = OutboxDelivery::Verdict;

namespace {

const storage::Access kSender{"sender"};

/// An outbox on a database of its own, and who delivers from it.
class Post {
public:
  Post() : db({.file = dir / "test.db"}), store(db.outbox()) {}
  ~Post() { stop(); }

  void put(const std::string &target, const std::string &id) {
    store.put(kSender, std::vector<OutboxStore::Item>{{target, id, "to " + target}}, {});
    if (delivery) delivery->wake();
  }
  /// `act`: what becomes of an attempt; those that are done are remembered.
  void start(std::function<Outcome(const mos_call *, const OutboxStore::Stored &)> act) {
    OutboxDelivery::Parts parts{store,
                                executor,
                                timers,
                                common::makeOwner(),
                                [this] {
                                  storage::Access access = kSender;
                                  access.cancelled = [this] { return broken.load(); };
                                  return access;
                                },
                                [this, act](const mos_call *call, const OutboxStore::Stored &item) {
                                  const Outcome outcome = act(call, item);
                                  const std::lock_guard lock(mutex);
                                  ++attempts[item.id];
                                  if (outcome.verdict == Verdict::Done) done[item.target].push_back(item.id);
                                  return outcome;
                                },
                                [this](const char *result, const std::string &) {
                                  const std::lock_guard lock(mutex);
                                  ++results[result];
                                }};
    delivery = std::make_shared<OutboxDelivery>(std::move(parts), limits);
    delivery->wake();
  }
  void stop() {
    if (!delivery) return;
    delivery->close();
    CHECK(delivery->drain(std::chrono::seconds{20}));
    delivery.reset();
  }
  std::vector<std::string> doneOf(const std::string &target) {
    const std::lock_guard lock(mutex);
    return done[target];
  }
  int attemptsOf(const std::string &id) {
    const std::lock_guard lock(mutex);
    return attempts[id];
  }
  bool isEmpty() { return store.counts(kSender).waiting == 0; }

  TempDir dir;
  storage::Database db;
  OutboxStore &store;
  common::Executor executor;
  common::Timers timers{executor};
  OutboxLimits limits{.firstPause = milliseconds{5}, .longestPause = milliseconds{40}};
  std::atomic<bool> broken{false}; ///< the database
  std::mutex mutex;
  std::map<std::string, int> attempts, results;
  std::map<std::string, std::vector<std::string>> done;
  std::shared_ptr<OutboxDelivery> delivery;
};

const Outcome kDone{Verdict::Done, "", milliseconds{0}};
const Outcome kRetry{Verdict::Retry, "nobody answers", milliseconds{0}};

} // namespace

TEST_CASE_FIXTURE(Post, "each target gets its items in their order, also when attempts fail, and one at a time") {
  std::atomic<int> failing{0};
  std::mutex insideMutex;
  std::map<std::string, int> inside;
  start([&](const mos_call *, const OutboxStore::Stored &item) {
    {
      const std::lock_guard lock(insideMutex);
      CHECK(++inside[item.target] == 1);
    }
    CHECK(item.payload == "to " + item.target);
    const Outcome outcome = ++failing % 3 == 0 ? kRetry : kDone;
    const std::lock_guard lock(insideMutex);
    --inside[item.target];
    return outcome;
  });
  std::vector<std::string> wanted;
  for (int i = 0; i < 20; ++i) {
    wanted.push_back(std::to_string(i));
    for (const char *target : {"a", "b", "c"})
      put(target, wanted.back());
  }
  CHECK(eventually([&] { return isEmpty(); }));
  for (const char *target : {"a", "b", "c"})
    CHECK(doneOf(target) == wanted);
}

TEST_CASE_FIXTURE(Post, "a target that does not answer holds up no other") {
  std::atomic<bool> goOn{false};
  start([&](const mos_call *, const OutboxStore::Stored &item) {
    while (item.target == "slow" && !goOn)
      std::this_thread::sleep_for(milliseconds{1});
    return item.target == "down" ? kRetry : kDone;
  });
  for (int i = 0; i < 10; ++i) {
    for (const char *target : {"slow", "down", "quick"})
      put(target, std::to_string(i));
  }
  CHECK(eventually([&] { return doneOf("quick").size() == 10; }));
  CHECK(doneOf("slow").empty());
  CHECK(doneOf("down").empty());
  goOn = true;
  CHECK(eventually([&] { return doneOf("slow").size() == 10; }));
}

TEST_CASE_FIXTURE(Post,
                  "what fails too often is parked and seen, lets others pass, and can be tried again or forgotten") {
  limits.mostAttempts = 4;
  std::atomic<bool> down{true};
  start([&](const mos_call *, const OutboxStore::Stored &item) { return item.id == "bad" && down ? kRetry : kDone; });
  for (const char *id : {"bad", "good"})
    put("a", id);
  CHECK(eventually([&] { return doneOf("a") == std::vector<std::string>{"good"}; }));
  CHECK(attemptsOf("bad") == 4);
  std::vector<OutboxStore::Stored> parked;
  const auto look = [&] {
    parked.clear();
    store.list(kSender, true, [&](const OutboxStore::Stored &item) {
      parked.push_back(item);
      return true;
    });
  };
  look();
  REQUIRE(parked.size() == 1);
  CHECK(parked[0].id == "bad");
  CHECK(parked[0].attempts == 4);
  CHECK(parked[0].lastError == "nobody answers");
  CHECK(store.counts(kSender).parked == 1);
  CHECK(store.retryParked(kSender, "b", "", 1) == 0);
  CHECK(store.retryParked({"other"}, "a", "bad", 1) == 0);
  down = false;
  CHECK(store.retryParked(kSender, "a", "bad", 4'000'000'000'000) == 1); // a clock that is set back later
  delivery->wake();
  CHECK(eventually([&] { return doneOf("a").size() == 2; }));
  down = true;
  put("a", "bad");
  CHECK(eventually([&] { return store.counts(kSender).parked == 1; }));
  CHECK(store.discardParked(kSender, "a", "") == 1);
  look();
  CHECK(parked.empty());
}

TEST_CASE_FIXTURE(Post, "items that are old are parked, unwanted ones dropped") {
  limits.mostAge = milliseconds{0};
  start([&](const mos_call *, const OutboxStore::Stored &item) {
    return item.id == "unwanted" ? Outcome{Verdict::Drop, "", milliseconds{0}} : kRetry;
  });
  put("a", "unwanted");
  put("a", "old");
  CHECK(eventually([&] { return store.counts(kSender).parked == 1; }));
  CHECK(attemptsOf("old") == 1);
  CHECK(attemptsOf("unwanted") == 1);
  CHECK(isEmpty());
}

TEST_CASE_FIXTURE(Post, "what waits or was under way when it ended is delivered by the next") {
  put("a", "1");
  put("a", "2");
  std::atomic<bool> inside{false};
  start([&](const mos_call *call, const OutboxStore::Stored &) {
    inside = true;
    while (call->cancelled(call) == 0)
      std::this_thread::sleep_for(milliseconds{1});
    return kRetry;
  });
  CHECK(eventually([&] { return inside.load(); }));
  stop();
  CHECK(doneOf("a").empty());
  start([](const mos_call *, const OutboxStore::Stored &) { return kDone; });
  CHECK(eventually([&] { return doneOf("a") == std::vector<std::string>{"1", "2"}; }));
}

TEST_CASE_FIXTURE(Post, "an item and the rows that go with it are kept together or not at all") {
  db.execBatch({{"CREATE TABLE sender_sent (id TEXT UNIQUE)"}}, kSender);
  const auto send = [&](const std::string &id, const std::string &row) {
    const std::vector<OutboxStore::Item> items{{"a", id, "x"}};
    const std::vector<storage::Statement> statements{{"INSERT INTO sender_sent VALUES (?)", {row}, 1}};
    return errorOf([&] {
      const auto changed = store.put(kSender, items, statements);
      CHECK(changed == std::vector<std::int64_t>{1});
      throw Error(Status::Ok, "");
    });
  };
  CHECK(send("1", "r1").status() == Status::Ok);
  CHECK(send("2", "r1").reason() == "UNIQUE");
  CHECK(send("1", "r2").reason() == "OUTBOX_ID");
  CHECK(db.queryInt("SELECT count(*) FROM sender_sent") == 1);
  CHECK(store.counts(kSender).waiting == 1);
  const std::vector<storage::Statement> others{{"DELETE FROM matrixos_outbox"}};
  CHECK(errorOf([&] { store.put(kSender, {}, others); }).reason() == "TABLE_OWNED");
  CHECK(errorOf([&] { put("a", std::string(513, 'x')); }).reason() == "OUTBOX_ITEM");
  CHECK(errorOf([&] { put("", "x"); }).reason() == "OUTBOX_ITEM");
  const std::vector<OutboxStore::Item> large{{"a", "large", std::string(OutboxStore::kLargestPayload + 1, 'x')}};
  CHECK(errorOf([&] { store.put(kSender, large, {}); }).reason() == "OUTBOX_ITEM");
}

TEST_CASE_FIXTURE(Post, "an outbox holds so many items, and says when it is full") {
  std::vector<OutboxStore::Item> items;
  for (std::int64_t i = 0; i < OutboxStore::kMostItems; ++i)
    items.push_back({"a", std::to_string(i), "x"});
  store.put(kSender, items, {});
  CHECK(errorOf([&] { put("a", "one more"); }).reason() == "OUTBOX_FULL");
  store.put({"other"}, std::vector<OutboxStore::Item>{{"a", "1", "x"}}, {});
  store.remove(kSender, store.heads(kSender, 1).front().number);
  put("a", "one more");
  CHECK(store.counts(kSender).waiting == OutboxStore::kMostItems);
}

TEST_CASE_FIXTURE(Post, "what became of an attempt and could not be recorded is delivered again, after a pause") {
  put("a", "1");
  put("a", "2");
  start([&](const mos_call *, const OutboxStore::Stored &) {
    broken = true;
    return kDone;
  });
  CHECK(eventually([&] {
    const std::lock_guard lock(mutex);
    return results["failed"] > 2;
  }));
  CHECK(store.counts(kSender).waiting == 2);
  CHECK(doneOf("a") == std::vector<std::string>{"1"});
  stop();
  broken = false;
  start([](const mos_call *, const OutboxStore::Stored &) { return kDone; });
  CHECK(eventually([&] { return isEmpty(); }));
  CHECK(doneOf("a") == std::vector<std::string>{"1", "1", "2"});
}
