#include "Fixture.h"
#include "InstanceTable.h"
#include "InstanceToken.h"
#include "PortAllocator.h"
#include "WatchHub.h"

#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;
using namespace matrixos::orchestrator;

namespace {

/// Notes what it is told.
struct Recorder {
  mutable std::mutex mutex;
  std::vector<std::uint64_t> revs;
  std::vector<std::string> texts;
  int synced = 0;
  std::uint64_t syncedAt = 0;
  std::size_t beforeSync = 0;

  mos_instance_watcher abi() {
    return {this,
            [](void *ctx, std::uint64_t rev, mos_str, mos_str json) {
              auto *self = static_cast<Recorder *>(ctx);
              const std::lock_guard lock(self->mutex);
              self->revs.push_back(rev);
              self->texts.emplace_back(fromAbi(json));
            },
            [](void *ctx, std::uint64_t rev) {
              auto *self = static_cast<Recorder *>(ctx);
              const std::lock_guard lock(self->mutex);
              ++self->synced;
              self->syncedAt = rev;
              self->beforeSync = self->revs.size();
            }};
  }
  std::vector<std::uint64_t> seen() const {
    const std::lock_guard lock(mutex);
    return revs;
  }
};

Instance record(const std::string &handle, std::uint64_t rev, std::int64_t createdAt = 1) {
  Instance made;
  made.id = "id-" + handle;
  made.handle = handle;
  made.clerkUserId = "user-" + handle;
  made.rev = rev;
  made.createdAt = createdAt;
  return made;
}

} // namespace

TEST_CASE("ports: lowest free first, ranges stop before each other") {
  PortAllocator ports(4001, 3999, 10, {});
  CHECK(ports.last().shell == 4000);
  CHECK(ports.last().gateway == 4010);
  CHECK(ports.take().shell == 3999);
  const PortPair second = ports.take();
  CHECK(second.shell == 4000);
  CHECK(second.gateway == 4002);
  CHECK_THROWS_AS(ports.take(), Error);
  ports.release(second);
  CHECK(ports.take().gateway == 4002); // the failed take kept nothing

  PortAllocator top(65530, 3001, 1000, {});
  CHECK(top.last().gateway == 65535);
}

TEST_CASE("ports: what the database and the daemon hold is skipped, a blocked one too") {
  PortAllocator ports(4001, 3001, 10, {4001});
  ports.markTaken({4002, 3001});
  const PortPair pair = ports.take();
  CHECK(pair.gateway == 4003);
  CHECK(pair.shell == 3002);
  ports.block(pair.gateway);
  ports.release(pair);
  CHECK(ports.take().gateway == 4004);
}

TEST_CASE("times and JSON are written as the contract says") {
  CHECK(formatTime(0) == "1970-01-01T00:00:00.000Z");
  CHECK(formatTime(1764000000007) == "2025-11-24T16:00:00.007Z");
  CHECK(formatTime(1709251199999) == "2024-02-29T23:59:59.999Z");
  Instance instance;
  instance.handle = "alice";
  instance.lastError = "\x7f a \"quote\", a \\, ü and \n";
  instance.endpoints = {{"shell", "fd00::1", 3000, "bridge", "e1"}};
  instance.status = statusOf(instance);
  const auto object = json::parseObject(instance.toJson(5, 7, nullptr));
  CHECK(object->getValue<std::string>("lastError") == instance.lastError);
  CHECK(object->getValue<std::string>("lastActive") == "1970-01-01T00:00:00.005Z");
  CHECK(object->getValue<int>("activitySeq") == 7);
  CHECK(object->getValue<std::string>("status") == "provisioning");
  CHECK(object->getArray("endpoints")->getObject(0)->getValue<std::string>("address") == "fd00::1");
  for (const char *key : {"id", "clerkUserId", "containerId", "port", "shellPort", "createdAt", "rev", "generation",
                          "phase", "desired", "runtime", "image", "imageDigest"})
    CHECK_MESSAGE(object->has(key), key);
}

TEST_CASE("watchers hear changes in the order of their revision, whoever commits first") {
  Strand strand;
  InstanceTable table(strand);
  Recorder watcher;
  const std::uint64_t a = table.beginRev();
  table.publish(record("alice", a));
  const std::uint64_t watch = table.watch(0, watcher.abi());
  strand.sync();
  CHECK(watcher.seen() == std::vector<std::uint64_t>{a});
  CHECK(watcher.synced == 1);

  const std::uint64_t b = table.beginRev();
  const std::uint64_t c = table.beginRev();
  const std::uint64_t d = table.beginRev();
  table.publish(record("carol", c));
  table.remove(record("carol", c), d);
  strand.sync();
  CHECK(watcher.seen().size() == 1); // b is not decided yet
  CHECK(table.find("carol") == nullptr);
  table.publish(record("bobby", b));
  strand.sync();
  CHECK(watcher.seen() == std::vector<std::uint64_t>{a, b, c, d});
  CHECK(watcher.texts.back() ==
        R"({"handle":"carol","id":"id-carol","rev":)" + std::to_string(d) + R"(,"status":"deleted"})");

  const std::uint64_t e = table.beginRev();
  const std::uint64_t g = table.beginRev();
  table.publish(record("dave1", g));
  table.abandonRev(e);
  strand.sync();
  CHECK(watcher.seen().back() == g);
  table.unwatch(watch);
  table.publish(record("erin1", table.beginRev()));
  strand.sync();
  CHECK(watcher.seen().back() == g);
  CHECK_THROWS_AS(table.unwatch(watch), Error);
}

TEST_CASE("a watch since a revision gets what is newer, deletions included, then synced") {
  Strand strand;
  InstanceTable table(strand);
  table.publish(record("alice", table.beginRev()));
  table.publish(record("bobby", table.beginRev()));
  const std::uint64_t since = table.beginRev();
  table.publish(record("carol", since));
  table.remove(record("alice", 1), table.beginRev());
  table.publish(record("dave1", table.beginRev()));
  Recorder watcher;
  table.watch(since, watcher.abi());
  strand.sync();
  CHECK(watcher.seen() == std::vector<std::uint64_t>{since + 1, since + 2});
  CHECK(watcher.beforeSync == 2);
  CHECK(watcher.syncedAt == since + 2);

  // Deletions are not remembered for ever; a revision from another life is not known at all.
  for (int i = 0; i < 5000; ++i)
    table.remove(record("gone1", 1), table.beginRev());
  CHECK_THROWS_AS(table.watch(since, watcher.abi()), Error);
  CHECK_THROWS_AS(table.watch(1'000'000, watcher.abi()), Error);
  strand.stop();
}

TEST_CASE("a watcher that joins while four writers work misses nothing") {
  Strand strand;
  InstanceTable table(strand);
  constexpr int kEach = 500;
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&table, w] {
      for (int i = 0; i < kEach; ++i)
        table.publish(record("w" + std::to_string(w) + "-" + std::to_string(i), table.beginRev()));
    });
  }
  Recorder watcher;
  table.watch(0, watcher.abi());
  for (std::thread &writer : writers)
    writer.join();
  strand.sync();
  const auto revs = watcher.seen();
  CHECK(std::set<std::uint64_t>(revs.begin(), revs.end()).size() == 4 * kEach);
  CHECK(std::is_sorted(revs.begin() + static_cast<std::ptrdiff_t>(watcher.beforeSync), revs.end()));
  CHECK(table.size() == 4 * kEach);
  strand.stop();
}

TEST_CASE("the table finds by handle, id and owner, and lists newest first") {
  Strand strand;
  InstanceTable table(strand);
  table.publish(record("alice", table.beginRev(), 10));
  table.publish(record("bobby", table.beginRev(), 30));
  table.publish(record("carol", table.beginRev(), 20));
  CHECK(table.findById("id-bobby")->handle == "bobby");
  CHECK(table.findByUser("user-carol")->handle == "carol");
  CHECK(table.find("nobody") == nullptr);
  std::string order;
  for (const InstanceView &view : table.list(""))
    order += view.instance->handle + " ";
  CHECK(order == "bobby carol alice ");
  table.recordActivity("alice", wallClockMs() + 1'000'000, 0);
  CHECK(table.view("alice")->lastActive <= wallClockMs()); // a clock that runs ahead does not keep it awake
  CHECK(table.view("alice")->activitySeq == 1);
  table.publish(record("alice", table.beginRev(), 10));
  CHECK(table.view("alice")->activitySeq == 1); // outlives a change of the record
  CHECK(table.counts()[0] == 3);
  strand.stop();
}

TEST_CASE("a listing by status follows the records") {
  Strand strand;
  InstanceTable table(strand);
  const auto listed = [&table](const char *status) {
    std::string handles;
    for (const InstanceView &view : table.list(status))
      handles += view.instance->handle + " ";
    return handles;
  };
  const auto publish = [&table](const char *handle, Phase phase, std::int64_t createdAt) {
    Instance next = record(handle, table.beginRev(), createdAt);
    next.phase = phase;
    next.provisionedAt = 1;
    table.publish(std::move(next));
  };
  publish("alice", Phase::Running, 10);
  publish("bobby", Phase::Running, 30);
  publish("carol", Phase::Stopped, 20);
  CHECK(listed("running") == "bobby alice ");
  CHECK(listed("stopped") == "carol ");
  publish("bobby", Phase::Stopping, 30);
  CHECK(listed("running") == "alice ");
  CHECK(listed("stopped") == "bobby carol ");
  table.remove(*table.find("alice"), table.beginRev());
  CHECK(listed("running") == "");
  CHECK(listed("no status") == "");
  CHECK(table.counts() == std::array<std::size_t, 6>{0, 0, 2, 0, 0, 0});
  strand.stop();
}

TEST_CASE("100,000 records load, look up and list") {
  Fixture f;
  const auto tokenOf = [](const std::string &n) { return "mxi_" + std::string(43 - n.size(), 'a') + n; };
  for (int batch = 0; batch < 100; ++batch) {
    std::vector<storage::Statement> rows;
    for (int i = 0; i < 1000; ++i) {
      const std::string n = std::to_string(batch * 1000 + i);
      rows.push_back(
          {"INSERT INTO containers VALUES (?, ?, '', 0, 0, 'stopped', ?, 1, ?, ?, 1, 1, 'stopped', 'stopped', "
           "'simulated', 'node-1', 'image', '', '', '', 0, '', '', 0, 0, '', 1, 1, 0, 0, 0, 0, 0, ?)",
           {"handle-" + n, "user-" + n, batch * 1000 + i, "id-" + n, batch * 1000 + i + 1,
            InstanceToken::hashOf(tokenOf(n))}});
    }
    f.host->database().execBatch(rows);
  }
  f.restart();
  CHECK(f.field("handle-77777", "id") == "id-77777");
  CHECK(f.service->orchestrator().tokenOwner(tokenOf("77777")).value().id == "id-77777");
  std::size_t count = 0;
  std::string first;
  f.service->orchestrator().list("stopped", [&](std::string_view item) {
    if (count++ == 0) first = item;
    return true;
  });
  CHECK(count == 100'000);
  CHECK(first.find("handle-99999") != std::string::npos);
}
