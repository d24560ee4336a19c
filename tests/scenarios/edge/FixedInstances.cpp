/// An orchestrator without an engine: its instances are named in the configuration, and starting one takes a fixed
/// time; they can be stopped, and PUT /fixed-instances/:handle lets a test stop, restart and move them. For scenarios
/// and benchmarks of the proxy.
#include <matrixos/orchestrator.hpp>
#include <matrixos/plugin.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace matrixos;

namespace {

constexpr mos_provide kProvides[] = {{MOS_ORCHESTRATOR_1, "", MOS_ORCHESTRATOR_1_MINOR}};
constexpr mos_config_key kKeys[] = {
    {"running", "list", "", nullptr, "handle:port[:owner] of instances that run, on loopback."},
    {"sleeping", "list", "", nullptr, "handle:port[:owner] of instances that run once they were started."},
    {"start_takes", "duration", "0ms", "0ms..1m", "How long a start takes."},
};

struct Instance {
  std::string shell; ///< ports
  std::string gateway;
  std::string status = "stopped";
  std::string owner = "user";
  bool held = false; ///< a start waits until the instance is said to run
  std::uint64_t rev = 1;
  std::uint64_t epoch = 1;
  std::uint64_t uses = 1; ///< the activity sequence
  std::vector<Completion> starts{};
};

class FixedInstances final : public Plugin, public Orchestrator {
public:
  explicit FixedInstances(const mos_host_v1 *host) : config_(host), log_(host), services_(host), routes_(host) {}

  void start() override {
    for (const std::string &item : config_.getList("running"))
      add(item, "running");
    for (const std::string &item : config_.getList("sleeping"))
      add(item, "stopped");
    routes_.add("PUT", "/fixed-instances/:handle", MOS_PERMISSION_PUBLIC,
                "?status=running|stopped|held&shell=port&gateway=port: what happened to an instance",
                [this](Exchange &exchange) { change(exchange); });
    routes_.publish();
    services_.provide(MOS_ORCHESTRATOR_1, "", table());
    starter_ = std::thread([this] { runStarts(); });
  }
  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (auto &[handle, instance] : instances_)
        instance.starts.clear();
    }
    due_.notify_all();
    starter_.join();
    services_.withdraw(MOS_ORCHESTRATOR_1, "");
  }

  void provision(const Call &, std::string_view, std::string_view, Completion &) override { refuse(); }
  void stop(const Call &, std::string_view handle, std::uint64_t ifActivitySeq, std::string_view,
            Completion &done) override {
    const std::string name(handle);
    std::unique_lock lock(mutex_);
    if (find(handle).uses != ifActivitySeq) throw Error(Status::Aborted, "it has been used", "ACTIVE");
    become(std::move(lock), name, "stopping");
    become(std::unique_lock(mutex_), name, "stopped");
    done.succeed(get(handle));
  }
  void destroy(const Call &, std::string_view, Completion &) override { refuse(); }
  void start(const Call &, std::string_view handle, Completion &done) override {
    const std::lock_guard lock(mutex_);
    Instance &instance = find(handle);
    log_.info("start", {{"handle", std::string(handle)}});
    instance.starts.push_back(std::move(done));
    if (instance.held) return;
    queue_.emplace(Clock::now() + config_.getDuration("start_takes"), handle);
    due_.notify_all();
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
    const std::lock_guard lock(mutex_);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string handle(fromAbi(items[i].handle));
      if (const auto found = instances_.find(handle); found != instances_.end()) ++found->second.uses;
      log_.debug("used", {{"handle", handle}, {"count", std::to_string(items[i].count)}});
    }
  }

  /// The token of an instance is "mxi_", its handle, and "_" up to 43 characters; it binds to no address.
  std::optional<TokenOwner> tokenOwner(std::string_view token) override {
    if (token.size() != 47 || token.substr(0, 4) != "mxi_") return std::nullopt;
    const std::string handle(token.substr(4, token.find_last_not_of('_') - 3));
    const std::lock_guard lock(mutex_);
    if (instances_.count(handle) == 0) return std::nullopt;
    return TokenOwner{idOf(handle), handle, false, {}};
  }

private:
  using Clock = std::chrono::steady_clock;

  [[noreturn]] static void refuse() { throw Error(Status::Unimplemented, "these instances are as they are"); }

  void add(const std::string &item, const char *status) {
    const std::size_t colon = item.find(':');
    if (colon == std::string::npos) throw Error(Status::InvalidArgument, "\"" + item + "\" is no handle:port");
    const std::string rest = item.substr(colon + 1);
    const std::string port = rest.substr(0, rest.find(':'));
    Instance &instance = instances_[item.substr(0, colon)] = {port, port, status};
    if (port.size() < rest.size()) instance.owner = rest.substr(port.size() + 1);
  }
  /// Answers when everybody who watches has been told.
  void change(Exchange &exchange) {
    const std::string handle(exchange.param("handle"));
    const std::string status(exchange.queryParam("status").value_or("running"));
    std::unique_lock lock(mutex_);
    Instance &instance = find(handle);
    instance.shell = exchange.queryParam("shell").value_or(instance.shell);
    instance.gateway = exchange.queryParam("gateway").value_or(instance.gateway);
    instance.held = status == "held";
    if (status == "stopped" && !instance.starts.empty()) queue_.emplace(Clock::now(), handle);
    become(std::move(lock), handle, status == "running" ? status : "stopped");
    exchange.json(200, "{}");
  }
  void become(std::unique_lock<std::mutex> lock, const std::string &handle, const std::string &status) {
    Instance &instance = find(handle);
    instance.status = status;
    ++instance.rev;
    ++instance.epoch;
    const std::uint64_t rev = instance.rev;
    const std::string record = describe(handle, instance);
    std::vector<Completion> starts;
    if (status == "running") starts.swap(instance.starts);
    const auto watchers = watchers_;
    lock.unlock();
    for (const auto &[id, watcher] : watchers)
      watcher.changed(watcher.ctx, rev, toAbi(handle), toAbi(record));
    for (Completion &done : starts)
      done.succeed(record);
  }
  void runStarts() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (queue_.empty()) {
        due_.wait(lock);
      } else if (const auto first = queue_.begin(); first->first > Clock::now()) {
        due_.wait_until(lock, first->first);
      } else {
        const std::string handle = first->second;
        queue_.erase(first);
        // One that is held meanwhile waits, and one that was stopped again meanwhile starts nonetheless.
        if (const Instance &instance = find(handle); instance.held || instance.starts.empty()) continue;
        become(std::move(lock), handle, "running");
        lock = std::unique_lock(mutex_);
      }
    }
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
  static std::string idOf(std::string_view handle) { return "01J00000000000000" + std::string(handle); }
  static std::string describe(std::string_view handle, const Instance &instance) {
    std::string endpoints;
    for (const auto &[name, port] : {std::pair{"shell", instance.shell}, {"gateway", instance.gateway}}) {
      if (!endpoints.empty()) endpoints += ",";
      endpoints.append(R"({"name":")").append(name).append(R"(","address":"127.0.0.1","port":)").append(port);
      endpoints.append(R"(,"scope":"host","epoch":")" + std::to_string(instance.epoch) + R"("})");
    }
    const std::string &phase = instance.status;
    const std::string status = phase == "stopping" ? "stopped" : phase;
    return R"({"id":")" + idOf(handle) + R"(","handle":")" + std::string(handle) + R"(","clerkUserId":")" +
           instance.owner + R"(","status":")" + status + R"(","rev":)" + std::to_string(instance.rev) +
           R"(,"createdAt":"2026-01-01T00:00:00.000Z","lastActive":"2026-01-01T00:00:00.000Z","phase":")" + phase +
           R"(","desired":")" + status + R"(","activitySeq":)" + std::to_string(instance.uses) + R"(,"endpoints":[)" +
           (status == "running" ? endpoints : "") + "]}";
  }

  Config config_;
  Log log_;
  Services services_;
  Routes routes_;
  std::mutex mutex_;
  std::condition_variable due_;
  bool stopping_ = false;
  std::map<std::string, Instance> instances_;
  std::map<std::uint64_t, mos_instance_watcher> watchers_;
  std::uint64_t lastWatch_ = 0;
  std::multimap<Clock::time_point, std::string> queue_; // starts that are under way
  std::thread starter_;
};

} // namespace

MATRIXOS_PLUGIN(FixedInstances, Descriptor("fixed-instances", "Fixed instances", "1.0.0")
                                    .vendor("Matrix OS")
                                    .license("MIT")
                                    .description("Instances that the configuration names.")
                                    .provides(kProvides)
                                    .configKeys(kKeys))
