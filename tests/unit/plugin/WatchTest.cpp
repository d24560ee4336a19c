#include "plugin/ServiceRegistry.h"

#include <matrixos/lifecycle.hpp>
#include <matrixos/orchestrator.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace matrixos;

namespace {

/// An orchestrator that counts its watches.
class Watched : public Orchestrator {
public:
  std::set<std::uint64_t> watches;
  std::uint64_t last = 0;

  void provision(const Call &, std::string_view, std::string_view, Completion &) override {}
  void start(const Call &, std::string_view, Completion &) override {}
  void stop(const Call &, std::string_view, std::uint64_t, std::string_view, Completion &) override {}
  void destroy(const Call &, std::string_view, Completion &) override {}
  std::string get(std::string_view) override { return "{}"; }
  void list(std::string_view, const std::function<bool(std::string_view)> &) override {}
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &watcher) override {
    watches.insert(++last);
    watcher.synced(watcher.ctx, 1);
    return last;
  }
  void unwatch(std::uint64_t id) override { watches.erase(id); }
  void recordActivity(const mos_activity *, std::uint32_t) override {}
};

class Idle : public Lifecycle {
public:
  std::uint64_t ensureRunning(const Call &, std::string_view, std::string_view, Completion &) override { return 0; }
  void forget(std::uint64_t) override {}
  void reportActivity(const mos_activity *, std::uint32_t) override {}
  std::string describe(std::string_view) override { return "{}"; }
};

struct Fixture {
  plugin::ServiceRegistry registry{nullptr};
  int synced = 0;
  mos_instance_watcher watcher{&synced, [](void *, std::uint64_t, mos_str, mos_str) {},
                               [](void *ctx, std::uint64_t) { ++*static_cast<int *>(ctx); }};

  OrchestratorClient client(const std::string &consumer = "test") {
    const auto gate = std::make_shared<plugin::CallGate>();
    return OrchestratorClient(
        static_cast<const mos_orchestrator_v1 *>(registry.acquire({consumer, gate}, MOS_ORCHESTRATOR_1, "")));
  }
};

} // namespace

TEST_CASE("a watch is set up once, whatever other services come") {
  Watched provider;
  Idle other;
  Fixture fixture;
  fixture.registry.provide("orchestrator", MOS_ORCHESTRATOR_1, "", provider.table());
  const std::uint64_t id = fixture.client().watch(0, fixture.watcher);
  fixture.registry.provide("lifecycle", MOS_LIFECYCLE_1, "", other.table());
  CHECK(provider.watches.size() == 1);
  CHECK(fixture.synced == 1);
  fixture.client("other").unwatch(id); // not its watch
  CHECK(provider.watches.size() == 1);
  fixture.registry.sweepConsumer("test");
  CHECK(provider.watches.empty());
}

TEST_CASE("a watch outlives its provider and gets everything anew from the next one") {
  Watched first, second;
  Fixture fixture;
  fixture.registry.provide("orchestrator", MOS_ORCHESTRATOR_1, "", first.table());
  const OrchestratorClient client = fixture.client();
  const std::uint64_t id = client.watch(0, fixture.watcher);
  fixture.registry.withdrawAll("orchestrator", std::chrono::seconds{1});
  CHECK_THROWS_AS(client.get("alice"), Error);
  fixture.registry.provide("orchestrator", MOS_ORCHESTRATOR_1, "", second.table());
  CHECK(second.watches.size() == 1);
  CHECK(fixture.synced == 2);
  client.unwatch(id);
  CHECK(second.watches.empty());
}
