/// An orchestrator without an engine: its instances are named in the configuration, and starting one takes a fixed
/// time. For scenarios and benchmarks of the proxy.
#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace matrixos;

namespace {

constexpr mos_provide kProvides[] = {{MOS_ORCHESTRATOR_1, "", MOS_ORCHESTRATOR_1_MINOR}};
constexpr mos_config_key kKeys[] = {
    {"running", "list", "", nullptr, "handle:port of instances that run, on loopback."},
    {"sleeping", "list", "", nullptr, "handle:port of instances that run once they were started."},
    {"start_takes", "duration", "0ms", "0ms..1m", "How long a start takes."},
};

struct Instance {
  std::string port;
  bool running = false;
  std::uint64_t rev = 1;
};

class FixedInstances final : public Plugin, public Orchestrator {
public:
  explicit FixedInstances(const mos_host_v1 *host) : config_(host), log_(host), services_(host) {}

  void start() override {
    for (const std::string &item : config_.getList("running"))
      add(item, true);
    for (const std::string &item : config_.getList("sleeping"))
      add(item, false);
    services_.provide(MOS_ORCHESTRATOR_1, "", table());
  }
  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_all();
    for (std::thread &thread : starts_)
      thread.join();
    starts_.clear();
    services_.withdraw(MOS_ORCHESTRATOR_1, "");
  }

  void provision(const Call &, std::string_view, std::string_view, Completion &) override { refuse(); }
  void stop(const Call &, std::string_view, std::uint64_t, std::string_view, Completion &) override { refuse(); }
  void destroy(const Call &, std::string_view, Completion &) override { refuse(); }
  void start(const Call &, std::string_view handle, Completion &done) override {
    const std::lock_guard lock(mutex_);
    find(handle);
    log_.info("start", {{"handle", std::string(handle)}});
    starts_.emplace_back([this, handle = std::string(handle), done = std::move(done)]() mutable {
      std::unique_lock wait(mutex_);
      stopped_.wait_for(wait, config_.getDuration("start_takes"), [this] { return stopping_; });
      Instance &instance = find(handle);
      instance.running = true;
      ++instance.rev;
      const std::string record = describe(handle, instance);
      const auto watchers = watchers_;
      wait.unlock();
      for (const auto &[id, watcher] : watchers)
        watcher.changed(watcher.ctx, 2, toAbi(handle), toAbi(record));
      done.succeed(record);
    });
  }

  std::string get(std::string_view handle) override {
    const std::lock_guard lock(mutex_);
    return describe(handle, find(handle));
  }
  void list(std::string_view, const std::function<bool(std::string_view)> &item) override {
    for (const std::string &record : records())
      item(record);
  }
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &watcher) override {
    for (const std::string &record : records())
      watcher.changed(watcher.ctx, 1, {}, toAbi(record));
    watcher.synced(watcher.ctx, 1);
    const std::lock_guard lock(mutex_);
    watchers_.emplace(++lastWatch_, watcher);
    return lastWatch_;
  }
  void unwatch(std::uint64_t watch) override {
    const std::lock_guard lock(mutex_);
    watchers_.erase(watch);
  }
  void recordActivity(const mos_activity *items, std::uint32_t count) override {
    for (std::uint32_t i = 0; i < count; ++i)
      log_.debug("used",
                 {{"handle", std::string(fromAbi(items[i].handle))}, {"count", std::to_string(items[i].count)}});
  }

private:
  [[noreturn]] static void refuse() { throw Error(Status::Unimplemented, "these instances are as they are"); }

  void add(const std::string &item, bool running) {
    const std::size_t colon = item.find(':');
    if (colon == std::string::npos) throw Error(Status::InvalidArgument, "\"" + item + "\" is no handle:port");
    instances_[item.substr(0, colon)] = {item.substr(colon + 1), running};
  }
  Instance &find(std::string_view handle) {
    const auto found = instances_.find(std::string(handle));
    if (found == instances_.end()) throw Error(Status::NotFound, "there is no such handle");
    return found->second;
  }
  std::vector<std::string> records() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto &[handle, instance] : instances_)
      out.push_back(describe(handle, instance));
    return out;
  }
  static std::string describe(std::string_view handle, const Instance &instance) {
    std::string endpoints;
    for (const char *name : {"shell", "gateway"}) {
      if (!endpoints.empty()) endpoints += ",";
      endpoints.append(R"({"name":")").append(name).append(R"(","address":"127.0.0.1","port":)");
      endpoints.append(instance.port).append(R"(,"scope":"host","epoch":"1"})");
    }
    const std::string status = instance.running ? "running" : "stopped";
    return R"({"id":"01J00000000000000)" + std::string(handle) + R"(","handle":")" + std::string(handle) +
           R"(","clerkUserId":"user","status":")" + status + R"(","rev":)" + std::to_string(instance.rev) +
           R"(,"createdAt":"2026-01-01T00:00:00.000Z","lastActive":"2026-01-01T00:00:00.000Z","phase":")" + status +
           R"(","desired":")" + status + R"(","activitySeq":1,"endpoints":[)" + (instance.running ? endpoints : "") +
           "]}";
  }

  Config config_;
  Log log_;
  Services services_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::map<std::string, Instance> instances_;
  std::map<std::uint64_t, mos_instance_watcher> watchers_;
  std::uint64_t lastWatch_ = 0;
  std::vector<std::thread> starts_;
};

} // namespace

MATRIXOS_PLUGIN(FixedInstances, Descriptor("fixed-instances", "Fixed instances", "1.0.0")
                                    .vendor("Matrix OS")
                                    .license("MIT")
                                    .description("Instances that the configuration names.")
                                    .provides(kProvides)
                                    .configKeys(kKeys))
