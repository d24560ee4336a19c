/// An orchestrator without an engine: one instance, `bench`, that always runs where the benchmark's upstream listens.
#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>

#include <string>

using namespace matrixos;

namespace {

constexpr mos_provide kProvides[] = {{MOS_ORCHESTRATOR_1, "", MOS_ORCHESTRATOR_1_MINOR}};
constexpr mos_config_key kKeys[] = {{"port", "int", "1", "1..65535", "Where the instance listens on loopback."}};

class Instances final : public Plugin, public Orchestrator {
public:
  explicit Instances(const mos_host_v1 *host) : config_(host), services_(host) {}

  void start() override {
    const std::string port = std::to_string(config_.getInt("port"));
    std::string endpoints;
    for (const char *name : {"shell", "gateway"}) {
      if (!endpoints.empty()) endpoints += ",";
      endpoints.append(R"({"name":")").append(name).append(R"(","address":"127.0.0.1","port":)").append(port);
      endpoints += R"(,"scope":"host","epoch":"1"})";
    }
    record_ = R"({"id":"01J00000000000000000000000","handle":"bench","clerkUserId":"user","status":"running","rev":1,)"
              R"("createdAt":"2026-01-01T00:00:00.000Z","lastActive":"2026-01-01T00:00:00.000Z","phase":"running",)"
              R"("desired":"running","activitySeq":1,"endpoints":[)" +
              endpoints + "]}";
    services_.provide(MOS_ORCHESTRATOR_1, "", table());
  }
  void stop() override { services_.withdraw(MOS_ORCHESTRATOR_1, ""); }

  void provision(const Call &, std::string_view, std::string_view, Completion &) override { refuse(); }
  void start(const Call &, std::string_view, Completion &done) override { done.succeed(record_); }
  void stop(const Call &, std::string_view, std::uint64_t, std::string_view, Completion &) override { refuse(); }
  void destroy(const Call &, std::string_view, Completion &) override { refuse(); }
  std::string get(std::string_view handle) override {
    if (handle != "bench") throw Error(Status::NotFound, "there is only bench");
    return record_;
  }
  void list(std::string_view, const std::function<bool(std::string_view)> &item) override { item(record_); }
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &watcher) override {
    watcher.changed(watcher.ctx, 1, toAbi("bench"), toAbi(record_));
    watcher.synced(watcher.ctx, 1);
    return 1;
  }
  void unwatch(std::uint64_t) override {}
  void recordActivity(const mos_activity *, std::uint32_t) override {}

private:
  [[noreturn]] static void refuse() { throw Error(Status::Unimplemented, "the benchmark's instance is as it is"); }

  Config config_;
  Services services_;
  std::string record_;
};

} // namespace

MATRIXOS_PLUGIN(Instances, Descriptor("bench-instances", "Instances of the benchmark", "1.0.0")
                               .vendor("Matrix OS")
                               .license("MIT")
                               .description("One instance that always runs.")
                               .provides(kProvides)
                               .configKeys(kKeys))
