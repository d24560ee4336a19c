// ./dev bench abi: what a call into a plugin costs, by the way it takes:
//   direct     through the plugin's own table, as no consumer does: what the call itself costs
//   proxy      through the host's proxy, as consumers in the daemon do
//   socket     through the table that stands for an isolated plugin (isolation=process), without the proxy
//   isolated   through the proxy to that: the whole way of isolation=process
// Each with the plugin doing nothing: inspect() gives a description of 500 bytes, list() 1,000 of them, and
// report_activity() is a call that never blocks ([loop]). Read the column Time.
#include "BenchRuntime.h"
#include "isolation/IsolatedPlugin.h"
#include "plugin/ServiceRegistry.h"
#include "support/FakeHost.h"

#include <matrixos/abi/lifecycle.h>
#include <matrixos/lifecycle.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>

using namespace matrixos;

namespace {

class QuietLifecycle : public Lifecycle {
public:
  std::uint64_t ensureRunning(const Call &, std::string_view, std::string_view, Completion &done) override {
    done.succeed("{}");
    return 0;
  }
  void forget(std::uint64_t) override {}
  void reportActivity(const mos_activity *, std::uint32_t) override {}
  std::string describe(std::string_view) override { return "{}"; }
};

/// The plugin in a process of its own, for as long as the program runs.
class IsolatedRuntime {
public:
  IsolatedRuntime() {
    const auto build = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    isolation::ProcessSettings settings;
    settings.program = build / "bin/matrixos-plugin-host";
    settings.file = build / "bench/bench-runtime.so";
    static constexpr mos_provide kProvides[] = {{MOS_RUNTIME_1, "bench", 0, 0}};
    mos_descriptor_v1 descriptor{};
    descriptor.id = "bench-runtime";
    descriptor.provides = kProvides;
    descriptor.provides_count = 1;
    plugin_.struct_size = sizeof plugin_;
    const auto create = isolation::isolated(settings, descriptor);
    check([&](mos_error *e) { return create(host_.abi(), &plugin_, e); });
    check([&](mos_error *e) { return plugin_.start(plugin_.self, e); });
  }
  ~IsolatedRuntime() {
    plugin_.stop(plugin_.self, nullptr);
    plugin_.destroy(plugin_.self);
  }
  const mos_runtime_v1 *table() const { return host_.provided<mos_runtime_v1>(MOS_RUNTIME_1, "bench"); }

private:
  test::FakeHost host_;
  mos_plugin_v1 plugin_{};
};

/// Every way to the same runtime.
struct Ways {
  bench::BenchRuntime runtime;
  QuietLifecycle lifecycle;
  IsolatedRuntime isolated;
  plugin::ServiceRegistry registry{nullptr};
  const mos_runtime_v1 *proxyTable = nullptr, *isolatedProxyTable = nullptr;
  const mos_lifecycle_v1 *lifecycleProxy = nullptr;

  Ways() {
    registry.provide("bench#1", MOS_RUNTIME_1, "direct", runtime.table());
    registry.provide("bench#1", MOS_RUNTIME_1, "isolated", isolated.table());
    registry.provide("bench#1", MOS_LIFECYCLE_1, "", lifecycle.table());
    plugin::ServiceConsumer consumer;
    consumer.plugin = "consumer#2";
    consumer.gate = std::make_shared<plugin::CallGate>();
    const auto acquire = [&](const char *service, const char *instance) {
      return registry.acquire(consumer, service, instance);
    };
    proxyTable = static_cast<const mos_runtime_v1 *>(acquire(MOS_RUNTIME_1, "direct"));
    isolatedProxyTable = static_cast<const mos_runtime_v1 *>(acquire(MOS_RUNTIME_1, "isolated"));
    lifecycleProxy = static_cast<const mos_lifecycle_v1 *>(acquire(MOS_LIFECYCLE_1, ""));
  }
};

std::unique_ptr<Ways> ways;

void reportActivity(benchmark::State &state, const mos_lifecycle_v1 *table) {
  const std::string handle = "alice";
  mos_activity activity{};
  activity.handle = toAbi(handle);
  mos_error error{};
  for (auto _ : state) {
    const mos_status status = table->report_activity(table->self, &activity, 1, &error);
    if (status != MOS_OK) state.SkipWithError(error.message);
  }
}

void inspect(benchmark::State &state, const mos_runtime_v1 *table) {
  const CallScope call(std::chrono::hours{1}, "operation-1", "trace-1");
  const RuntimeClient runtime(table);
  for (auto _ : state) {
    try {
      benchmark::DoNotOptimize(runtime.inspect(call.abi(), "matrixos-alice"));
    } catch (const Error &e) {
      state.SkipWithError(e.what());
      break;
    }
  }
  state.SetItemsProcessed(state.iterations());
}

void list(benchmark::State &state, const mos_runtime_v1 *table) {
  const CallScope call(std::chrono::hours{1});
  const RuntimeClient runtime(table);
  for (auto _ : state) {
    int items = 0;
    try {
      runtime.list(call.abi(), "{}", [&](std::string_view) { return ++items > 0; });
    } catch (const Error &e) {
      state.SkipWithError(e.what());
      break;
    }
    if (items != 1000) state.SkipWithError("items are missing");
  }
}

} // namespace

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return EXIT_FAILURE;
  try {
    ways = std::make_unique<Ways>();
  } catch (const std::exception &e) {
    std::cerr << "bench-abi: " << e.what() << '\n';
    return EXIT_FAILURE;
  }
  using benchmark::RegisterBenchmark;
  RegisterBenchmark("report_activity/direct", reportActivity, ways->lifecycle.table());
  RegisterBenchmark("report_activity/proxy", reportActivity, ways->lifecycleProxy);
  const std::pair<const char *, const mos_runtime_v1 *> tables[] = {{"direct", ways->runtime.table()},
                                                                    {"proxy", ways->proxyTable},
                                                                    {"socket", ways->isolated.table()},
                                                                    {"isolated", ways->isolatedProxyTable}};
  for (const auto &[name, table] : tables) {
    RegisterBenchmark((std::string("inspect/") + name).c_str(), inspect, table)->UseRealTime();
  }
  for (const auto &[name, table] : tables) {
    RegisterBenchmark((std::string("list of 1000/") + name).c_str(), list, table)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
  for (const auto &[name, table] : tables) {
    RegisterBenchmark((std::string("inspect by 8 threads/") + name).c_str(), inspect, table)->Threads(8)->UseRealTime();
  }
  benchmark::RunSpecifiedBenchmarks();
  ways.reset();
  return EXIT_SUCCESS;
}
