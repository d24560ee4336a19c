/// The built plugin, loaded as the daemon loads it, with an orchestrator and an instance of the test's making.
#include "Fakes.h"
#include "support/PluginUnderTest.h"
#include "support/ScriptedServer.h"
#include "support/Wait.h"

#include <matrixos/lifecycle.hpp>
#include <matrixos/orchestrator.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::lifecycle::test;
using namespace matrixos::test;
using namespace std::chrono_literals;
using matrixos::Call;
using matrixos::Completion;
using matrixos::Error;
using matrixos::Outcome;
using matrixos::Status;

namespace {

/// An orchestrator with one table in memory whose starts and stops succeed at once, and which tells its watcher.
class SmallOrchestrator final : public matrixos::Orchestrator {
public:
  void put(const std::string &handle, const std::string &status, const std::string &endpoints) {
    std::string json;
    mos_instance_watcher watcher{};
    std::uint64_t rev = 0;
    {
      const std::lock_guard lock(mutex_);
      Record &target = records_[handle];
      rev = ++rev_;
      target = {status, rev, target.seq, endpoints};
      json = text(handle);
      watcher = watcher_;
    }
    if (watcher.changed != nullptr) watcher.changed(watcher.ctx, rev, matrixos::toAbi(handle), matrixos::toAbi(json));
  }
  std::string status(const std::string &handle) const {
    const std::lock_guard lock(mutex_);
    return records_.at(handle).status;
  }
  std::uint64_t uses(const std::string &handle) const {
    const std::lock_guard lock(mutex_);
    return records_.at(handle).uses;
  }
  int starts() const { return starts_; }
  bool watched() const {
    const std::lock_guard lock(mutex_);
    return watcher_.changed != nullptr;
  }
  /// Starts stay unanswered.
  void hang() { hang_ = true; }

  void provision(const Call &, std::string_view, std::string_view, Completion &) override {}
  void destroy(const Call &, std::string_view, Completion &) override {}
  void start(const Call &, std::string_view handle, Completion &done) override {
    ++starts_;
    if (hang_) {
      const std::lock_guard lock(mutex_);
      hanging_.push_back(std::move(done));
      return;
    }
    const std::string name(handle);
    put(name, "running", endpointsOf(name));
    done.succeed(get(handle));
  }
  void stop(const Call &, std::string_view handle, std::uint64_t seq, std::string_view, Completion &done) override {
    const std::string name(handle);
    {
      const std::lock_guard lock(mutex_);
      if (records_.at(name).seq != seq) throw Error(Status::Aborted, "it was used");
    }
    put(name, "stopped", endpointsOf(name));
    done.succeed(get(handle));
  }
  std::string get(std::string_view handle) override {
    const std::lock_guard lock(mutex_);
    const std::string name(handle);
    if (records_.count(name) == 0) throw Error(Status::NotFound, "no such instance");
    return text(name);
  }
  void list(std::string_view, const std::function<bool(std::string_view)> &) override {}
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &watcher) override {
    const std::lock_guard lock(mutex_);
    watcher_ = watcher;
    for (const auto &[handle, record] : records_)
      watcher.changed(watcher.ctx, record.rev, matrixos::toAbi(handle), matrixos::toAbi(text(handle)));
    watcher.synced(watcher.ctx, rev_);
    return 1;
  }
  void unwatch(std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    watcher_ = {};
  }
  void recordActivity(const mos_activity *items, std::uint32_t count) override {
    const std::lock_guard lock(mutex_);
    for (std::uint32_t i = 0; i < count; ++i) {
      Record &target = records_.at(std::string(matrixos::fromAbi(items[i].handle)));
      ++target.seq;
      target.uses += items[i].count;
    }
  }

private:
  struct Record {
    std::string status;
    std::uint64_t rev = 0, seq = 0;
    std::string endpoints;
    std::uint64_t uses = 0;
  };

  std::string text(const std::string &handle) const {
    const Record &record = records_.at(handle);
    return matrixos::lifecycle::test::record(handle, record.status, record.rev, record.seq,
                                             record.status == "running" ? record.endpoints : "[]");
  }
  std::string endpointsOf(const std::string &handle) const {
    const std::lock_guard lock(mutex_);
    return records_.at(handle).endpoints;
  }
  mutable std::mutex mutex_;
  std::map<std::string, Record> records_;
  std::uint64_t rev_ = 0;
  mos_instance_watcher watcher_{};
  std::atomic<int> starts_{0};
  std::atomic<bool> hang_{false};
  std::vector<Completion> hanging_;
};

struct Bench {
  SmallOrchestrator orchestrator;
  const mos_descriptor_v1 &descriptor = loadPlugin(LIFECYCLE_PLUGIN);
  FakeHost host{descriptor};
  PluginUnderTest plugin{descriptor, host};

  Bench() { host.offer(MOS_ORCHESTRATOR_1, orchestrator.table()); }

  const mos_lifecycle_v1 *provided() const { return host.provided<mos_lifecycle_v1>(MOS_LIFECYCLE_1); }
  matrixos::LifecycleClient client() const { return matrixos::LifecycleClient(provided()); }
};

/// Keeps the last outcome of a call.
struct Result {
  std::mutex mutex;
  int count = 0;
  Status status = Status::Unknown;
  std::string json;

  matrixos::LifecycleClient::Then then() {
    return [this](const Outcome &outcome) {
      const std::lock_guard lock(mutex);
      ++count;
      status = outcome.status;
      json = std::string(outcome.json);
    };
  }
  int answers() {
    const std::lock_guard lock(mutex);
    return count;
  }
};

std::string endpointsAt(const ScriptedServer &server) {
  return "[" + endpoint("gateway", "e1", server.port()) + "]";
}

} // namespace

TEST_CASE("the plugin wakes, hands on uses, puts to sleep by its live settings, and wakes again") {
  ScriptedServer server([](const Peer &peer) {
    peer.readRequest();
    peer.say("HTTP/1.1 200 OK\r\n\r\n");
  });
  server.listen();
  Bench bench;
  bench.orchestrator.put("alice", "stopped", endpointsAt(server));
  REQUIRE(bench.plugin.start() == MOS_OK);
  Result result;
  {
    const matrixos::CallScope call(20s);
    bench.client().ensureRunning(call.abi(), "alice", "gateway", result.then());
  }
  CHECK(eventually([&] { return result.answers() == 1; }));
  CHECK(result.status == Status::Ok);
  CHECK(result.json.find(R"("status":"running")") != std::string::npos);
  CHECK(result.json.find(R"("phases":{"queueMs":)") != std::string::npos);
  CHECK(bench.orchestrator.starts() == 1);

  const mos_activity use{matrixos::toAbi("alice"), 1'700'000'000'000, 3};
  bench.client().reportActivity(&use, 1);
  CHECK(eventually([&] { return bench.orchestrator.uses("alice") == 3; }));
  const std::string described = bench.client().describe("alice");
  CHECK(described.find(R"("activity":[{"at":"2023-11-14T22:13:20.000Z","count":3}])") != std::string::npos);
  CHECK(described.find(R"("stopsInMs":1)") != std::string::npos); // 1799… ms of half an hour
  CHECK_THROWS_AS(bench.client().describe("nobody"), Error);

  bench.host.set("check_interval", "1ms");
  bench.host.set("idle_timeout", "1ms");
  CHECK(bench.plugin.reconfigure() == MOS_OK);
  CHECK(eventually([&] { return bench.orchestrator.status("alice") == "stopped"; }));
  CHECK(bench.client().describe("alice").find(R"("stopsInMs":null)") != std::string::npos);

  const mos_str alice = matrixos::toAbi("alice");
  bench.client().reportOpen(&alice, 1);
  bench.host.set("idle_timeout", "30m");
  CHECK(bench.plugin.reconfigure() == MOS_OK);
  Result again;
  {
    const matrixos::CallScope call(20s);
    bench.client().ensureRunning(call.abi(), "alice", "gateway", again.then());
  }
  CHECK(eventually([&] { return again.answers() == 1; }));
  CHECK(again.status == Status::Ok);
  CHECK(bench.orchestrator.starts() == 2);
  CHECK(bench.plugin.stop() == MOS_OK);
}

TEST_CASE("stopping answers who waits, and leaves nothing behind") {
  Bench bench;
  bench.orchestrator.put("alice", "stopped", "[]");
  bench.orchestrator.hang();
  REQUIRE(bench.plugin.start() == MOS_OK);
  CHECK(bench.orchestrator.watched());
  Result waits, expires;
  bench.client().ensureRunning(nullptr, "alice", "shell", waits.then());
  {
    const matrixos::CallScope call(20ms);
    bench.client().ensureRunning(call.abi(), "alice", "shell", expires.then());
  }
  CHECK(eventually([&] { return expires.answers() == 1; }));
  CHECK(expires.status == Status::DeadlineExceeded);
  CHECK(waits.answers() == 0);
  const mos_activity use{matrixos::toAbi("alice"), 1, 1};
  bench.client().reportActivity(&use, 1);
  CHECK(bench.plugin.stop() == MOS_OK);
  CHECK(waits.answers() == 1);
  CHECK(waits.status == Status::Unavailable);
  CHECK(bench.orchestrator.uses("alice") == 1); // passed on before the end
  CHECK(bench.orchestrator.starts() == 1);
  CHECK_FALSE(bench.orchestrator.watched());
  CHECK(bench.provided() == nullptr);
  CHECK(bench.host.timers() == 0);
}

TEST_CASE("without an orchestrator the plugin does not start, and is destroyed all the same") {
  Bench bench;
  bench.host.offer(MOS_ORCHESTRATOR_1, nullptr);
  CHECK(bench.plugin.start() == MOS_UNAVAILABLE);
  CHECK(bench.host.timers() == 0);
}
