/// The built plugin, loaded as the daemon loads it, under a host, an orchestrator and a lifecycle of the test's making.
#include "Kit.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/call.hpp>
#include <matrixos/lifecycle.hpp>
#include <matrixos/orchestrator.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

using namespace kit;
using namespace matrixos;

namespace {

std::string instanceJson(const std::string &handle, const std::string &status, std::uint64_t rev, std::uint16_t port) {
  const std::string number = std::to_string(port);
  const std::string endpoints =
      R"({"name":"shell","address":"127.0.0.1","port":)" + number + R"(,"scope":"host","epoch":"e"})";
  return R"({"id":"01J)" + handle + R"(","handle":")" + handle + R"(","status":")" + status + R"(","rev":)" +
         std::to_string(rev) + R"(,"endpoints":[)" + (port != 0 ? endpoints : "") + "]}";
}

/// Announces what the test tells it to.
class SmallOrchestrator final : public Orchestrator {
public:
  void announce(const std::string &json) { watcher_.changed(watcher_.ctx, 1, {}, toAbi(json)); }
  bool watched() const { return watched_; }

  void provision(const Call &, std::string_view, std::string_view, Completion &) override {}
  void start(const Call &, std::string_view, Completion &) override {}
  void stop(const Call &, std::string_view, std::uint64_t, std::string_view, Completion &) override {}
  void destroy(const Call &, std::string_view, Completion &) override {}
  std::string get(std::string_view) override { throw Error(Status::NotFound, "none"); }
  void list(std::string_view, const std::function<bool(std::string_view)> &) override {}
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &watcher) override {
    watcher_ = watcher;
    watched_ = true;
    watcher_.synced(watcher_.ctx, 0);
    return 7;
  }
  void unwatch(std::uint64_t watch) override { watched_ = watch != 7; }
  void recordActivity(const mos_activity *, std::uint32_t) override {}

private:
  mos_instance_watcher watcher_{};
  bool watched_ = false;
};

/// Wakes at once, to the given port; keeps what it is told of use.
class SmallLifecycle final : public Lifecycle {
public:
  std::uint64_t ensureRunning(const Call &call, std::string_view handle, std::string_view, Completion &done) override {
    ++wakes;
    if (call.deadlineNanos() == MOS_NO_DEADLINE) throw Error(Status::InvalidArgument, "a wake without a deadline");
    done.succeed(R"({"instance":)" + instanceJson(std::string(handle), "running", 9, port) + "}");
    return 0;
  }
  void forget(std::uint64_t) override {}
  void reportActivity(const mos_activity *items, std::uint32_t count) override {
    const std::lock_guard lock(mutex_);
    for (std::uint32_t i = 0; i < count; ++i)
      uses_[std::string(fromAbi(items[i].handle))] += items[i].count;
  }
  std::string describe(std::string_view) override { return "{}"; }
  std::uint64_t uses(const std::string &handle) {
    const std::lock_guard lock(mutex_);
    return uses_[handle];
  }
  std::atomic<int> wakes{0};
  std::uint16_t port = 0;

private:
  std::mutex mutex_;
  std::map<std::string, std::uint64_t> uses_;
};

/// As much of a host as the plugin asks for. Keys have the defaults that the plugin declares.
class SmallHost {
public:
  SmallHost(const mos_descriptor_v1 *plugin, std::string dataDir) : dataDir_(std::move(dataDir)) {
    for (std::uint32_t i = 0; i < plugin->config_keys_count; ++i) {
      const mos_config_key &key = plugin->config_keys[i];
      texts_[key.key] = key.default_value != nullptr ? key.default_value : "";
    }
    texts_["listen"] = "127.0.0.1:0";
    host_ = {sizeof host_, MOS_HOST_MINOR, this,
             [](void *self, const char *id) -> const void * { return static_cast<SmallHost *>(self)->find(id); }};
    fillConfig();
    fillRest();
  }
  const mos_host_v1 *abi() const { return &host_; }
  void set(const std::string &key, const std::string &value) { texts_[key] = value; }
  std::string get(const std::string &key) const { return texts_.at(key); }
  /// What the plugin logged of itself: the port it listens on, and its lines about requests.
  std::uint16_t port() {
    const std::lock_guard lock(mutex_);
    return port_;
  }
  std::vector<std::map<std::string, std::string>> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  double counted() {
    const std::lock_guard lock(mutex_);
    return counted_;
  }

  const mos_orchestrator_v1 *orchestrator = nullptr;
  const mos_lifecycle_v1 *lifecycle = nullptr;

private:
  static SmallHost &of(void *self) { return *static_cast<SmallHost *>(self); }

  const void *find(const std::string &id) const {
    if (id == MOS_HOST_CONFIG_1) return &config_;
    if (id == MOS_HOST_PLATFORM_1) return &platform_;
    if (id == MOS_HOST_LOG_1) return &log_;
    if (id == MOS_HOST_METRICS_1) return &metrics_;
    if (id == MOS_HOST_TIMERS_1) return &timers_;
    if (id == MOS_HOST_SERVICES_1) return &services_;
    return nullptr;
  }

  /// Durations in ms, sizes in bytes, booleans as 0 and 1.
  static std::int64_t number(const std::string &text) {
    if (text == "true" || text == "false") return text == "true" ? 1 : 0;
    std::size_t end = 0;
    const std::int64_t value = std::stoll(text, &end);
    const std::map<std::string, std::int64_t> units{{"", 1},          {"ms", 1},    {"s", 1000},     {"m", 60'000},
                                                    {"h", 3'600'000}, {"KB", 1024}, {"MB", 1 << 20}, {"GB", 1 << 30}};
    return value * units.at(text.substr(end));
  }

  void fillConfig() {
    config_ = {sizeof config_, 0, this, nullptr, nullptr, nullptr, nullptr};
    config_.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
      return guarded(error, [&] { giveBuffer(out, of(self).texts_.at(std::string(fromAbi(key)))); });
    };
    config_.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
      return guarded(error, [&] { *out = number(of(self).texts_.at(std::string(fromAbi(key)))); });
    };
    config_.get_list = [](void *self, mos_str key, mos_sink items, mos_error *error) {
      return guarded(error, [&] {
        const std::string &text = of(self).texts_.at(std::string(fromAbi(key)));
        if (!text.empty()) items.item(items.ctx, toAbi(text));
      });
    };
    platform_ = {sizeof platform_, 0, this, nullptr, nullptr};
    platform_.info = [](void *self, mos_buf *out, mos_error *error) {
      return guarded(error, [&] {
        giveBuffer(out, R"({"domain":"matrix.test","apiSocket":"","dataDir":")" + of(self).dataDir_ + "\"}");
      });
    };
  }

  void note(std::string_view message, const mos_pair *fields, std::uint32_t count) {
    std::map<std::string, std::string> line;
    for (std::uint32_t i = 0; i < count; ++i)
      line[std::string(fromAbi(fields[i].key))] = fromAbi(fields[i].value);
    const std::lock_guard lock(mutex_);
    if (message == "listening") port_ = http::Address::parse(line.at("address")).port();
    if (message == "request") requests_.push_back(std::move(line));
  }

  void fillRest() {
    log_ = {sizeof log_, 0, this, nullptr, nullptr};
    log_.write = [](void *self, std::uint32_t, mos_str message, const mos_pair *fields, std::uint32_t count) {
      of(self).note(fromAbi(message), fields, count);
    };
    log_.enabled = [](void *, std::uint32_t) { return 1; };
    metrics_ = {sizeof metrics_, 0, this, nullptr, nullptr, nullptr};
    metrics_.series = [](void *, std::uint32_t, mos_str name, mos_str, const mos_pair *, std::uint32_t, const double *,
                         std::uint32_t, std::uint64_t *out, mos_error *) -> mos_status {
      *out = fromAbi(name) == "matrixos_proxy_requests_total" ? 1 : 2;
      return MOS_OK;
    };
    metrics_.add = [](void *self, std::uint64_t handle, double value) {
      const std::lock_guard lock(of(self).mutex_);
      if (handle == 1) of(self).counted_ += value;
    };
    metrics_.set = [](void *, std::uint64_t, double) {};
    timers_ = {sizeof timers_, 0, this, nullptr, nullptr};
    timers_.schedule = [](void *self, std::int64_t, std::int64_t period, void (*fire)(void *), void *ctx,
                          std::uint64_t *out, mos_error *) -> mos_status {
      *out = 1;
      of(self).ended_ = false;
      of(self).timer_ = std::thread([self, period, fire, ctx] {
        std::unique_lock lock(of(self).timerMutex_);
        while (!of(self).wake_.wait_for(lock, std::chrono::milliseconds(period), [&] { return of(self).ended_; }))
          fire(ctx);
      });
      return MOS_OK;
    };
    timers_.cancel = [](void *self, std::uint64_t, mos_error *) -> mos_status {
      {
        const std::lock_guard lock(of(self).timerMutex_);
        of(self).ended_ = true;
      }
      of(self).wake_.notify_all();
      of(self).timer_.join();
      return MOS_OK;
    };
    services_ = {sizeof services_, 0, this, nullptr, nullptr, nullptr, nullptr};
    services_.acquire = [](void *self, mos_str service, mos_str, const void **out, mos_error *error) -> mos_status {
      *out = fromAbi(service) == MOS_ORCHESTRATOR_1 ? static_cast<const void *>(of(self).orchestrator)
                                                    : static_cast<const void *>(of(self).lifecycle);
      return *out != nullptr ? MOS_OK : fail(error, Status::Unavailable, "nobody offers it");
    };
  }

  std::string dataDir_;
  std::map<std::string, std::string> texts_;
  mos_host_v1 host_{};
  mos_host_config_v1 config_{};
  mos_host_platform_v1 platform_{};
  mos_host_log_v1 log_{};
  mos_host_metrics_v1 metrics_{};
  mos_host_timers_v1 timers_{};
  mos_host_services_v1 services_{};
  std::mutex mutex_;
  std::uint16_t port_ = 0;
  std::vector<std::map<std::string, std::string>> requests_;
  double counted_ = 0;
  std::mutex timerMutex_;
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread timer_;
};

const mos_descriptor_v1 *load() {
  void *library = ::dlopen(PROXY_PLUGIN, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const char *why = library != nullptr ? "" : ::dlerror();
  CAPTURE(why);
  REQUIRE((library != nullptr));
  const auto entry = reinterpret_cast<mos_plugin_entry_fn>(::dlsym(library, MOS_ENTRY_NAME));
  REQUIRE((entry != nullptr));
  return entry();
}

struct TempDir {
  TempDir() { REQUIRE(::mkdtemp(path) != nullptr); }
  ~TempDir() {
    ::unlink((std::string(path) + "/admin.secret").c_str());
    ::rmdir(path);
  }
  char path[32] = "/tmp/proxy-plugin-XXXXXX";
};

} // namespace

TEST_CASE("the plugin from start to stop, twice in one process") {
  const mos_descriptor_v1 *descriptor = load();
  CHECK(std::string(descriptor->id) == "proxy");
  Upstream shell(Upstream::echo);
  TempDir dir;
  std::ofstream(std::string(dir.path) + "/admin.secret") << "t0psecret\n";
  SmallOrchestrator orchestrator;
  SmallLifecycle lifecycle;
  lifecycle.port = shell.port();
  for (int round = 0; round < 2; ++round) {
    SmallHost host(descriptor, dir.path);
    host.orchestrator = orchestrator.table();
    host.lifecycle = lifecycle.table();
    mos_plugin_v1 plugin{};
    plugin.struct_size = sizeof plugin;
    mos_error error{};
    REQUIRE(descriptor->create(host.abi(), &plugin, &error) == MOS_OK);
    REQUIRE_MESSAGE(plugin.start(plugin.self, &error) == MOS_OK, error.message);
    REQUIRE(orchestrator.watched());
    orchestrator.announce("this is no record");
    orchestrator.announce(instanceJson("alice", "running", 1, shell.port()));
    orchestrator.announce(instanceJson("sleeper", "stopped", 1, 0));
    const std::uint64_t before = lifecycle.uses("alice");
    {
      Conn conn = Conn::to(host.port());
      const auto answer = conn.get("/x?secret=1", "alice.matrix.test", "Authorization: Bearer t0psecret\r\n");
      CHECK(answer.status == 200);
      CHECK(fieldOf(answer.body, "Authorization").empty());
      CHECK(conn.get("/", "sleeper.localhost").status == 200);
      CHECK(lifecycle.wakes == round + 1);
    }
    CHECK(eventually([&] { return lifecycle.uses("alice") == before + 1 && host.requests().size() == 2; }));
    auto line = host.requests().front();
    CHECK(line["handle"] == "alice");
    CHECK(line["path"] == "/x");
    CHECK(line["status"] == "200");
    CHECK(host.requests().back()["woken"] == "true");
    CHECK(host.counted() == 2);
    const std::uint16_t port = host.port();
    CHECK(plugin.stop(plugin.self, &error) == MOS_OK);
    CHECK_FALSE(orchestrator.watched());
    CHECK_THROWS(Conn::to(port));
    plugin.destroy(plugin.self);
  }
}

TEST_CASE("the plugin takes another configuration while it runs, or says why not") {
  const mos_descriptor_v1 *descriptor = load();
  Upstream shell(Upstream::echo);
  TempDir dir;
  SmallOrchestrator orchestrator;
  SmallHost host(descriptor, dir.path);
  host.orchestrator = orchestrator.table();
  mos_plugin_v1 plugin{};
  plugin.struct_size = sizeof plugin;
  mos_error error{};
  REQUIRE(descriptor->create(host.abi(), &plugin, &error) == MOS_OK);
  REQUIRE_MESSAGE(plugin.start(plugin.self, &error) == MOS_OK, error.message);
  orchestrator.announce(instanceJson("alice", "running", 1, shell.port()));
  const std::uint16_t first = host.port();
  Conn kept = Conn::to(first);
  CHECK(kept.get("/", "alice.localhost").status == 200);

  const std::uint16_t second = freePort();
  host.set("listen", "127.0.0.1:" + std::to_string(second));
  host.set("max_uri", "256");
  REQUIRE_MESSAGE(plugin.reconfigure(plugin.self, &error) == MOS_OK, error.message);
  CHECK(host.port() == second);
  CHECK_THROWS(Conn::to(first));
  CHECK(Conn::to(second).get("/", "alice.localhost").status == 200);
  CHECK(kept.get("/", "alice.localhost").status == 200);
  CHECK(kept.get("/" + std::string(300, 'x'), "alice.localhost").status == 414);

  const auto refused = [&](const std::string &key, const std::string &value, const std::string &says) {
    const std::string before = host.get(key);
    host.set(key, value);
    CHECK(plugin.reconfigure(plugin.self, &error) != MOS_OK);
    CHECK_MESSAGE(std::string(error.message).find(says) != std::string::npos, error.message);
    host.set(key, before);
    CHECK(Conn::to(second).get("/", "alice.localhost").status == 200);
  };
  refused("listen", "127.0.0.1:" + std::to_string(shell.port()), "cannot listen on 127.0.0.1:");
  refused("unix_mode", "rw-rw----", "no file mode");
  refused("trusted_peers", "10.0.0.0/99", "10.0.0.0/99");
  refused("max_header", "64KB", "buffer");
  refused("tls_listen", "127.0.0.1:0", "for TLS");
  CHECK(plugin.stop(plugin.self, &error) == MOS_OK);
  plugin.destroy(plugin.self);
}

TEST_CASE("a start that fails says why, and leaves nothing behind") {
  const mos_descriptor_v1 *descriptor = load();
  TempDir dir;
  SmallOrchestrator orchestrator;
  SmallHost host(descriptor, dir.path);
  mos_plugin_v1 plugin{};
  mos_error error{};
  const auto startFails = [&] {
    plugin = {};
    plugin.struct_size = sizeof plugin;
    REQUIRE(descriptor->create(host.abi(), &plugin, &error) == MOS_OK);
    const mos_status status = plugin.start(plugin.self, &error);
    plugin.destroy(plugin.self);
    return status;
  };
  CHECK(startFails() == MOS_UNAVAILABLE); // no orchestrator
  host.orchestrator = orchestrator.table();
  host.set("trusted_peers", "10.0.0.0/99");
  CHECK(startFails() == MOS_INVALID_ARGUMENT);
  CHECK(std::string(error.message).find("10.0.0.0/99") != std::string::npos);
  host.set("trusted_peers", "");
  Upstream taken(Upstream::echo);
  host.set("listen", "127.0.0.1:" + std::to_string(taken.port()));
  CHECK(startFails() == MOS_ALREADY_EXISTS);
  CHECK(std::string(error.message).find("cannot listen on 127.0.0.1:") == 0);
  CHECK_FALSE(orchestrator.watched());
}
