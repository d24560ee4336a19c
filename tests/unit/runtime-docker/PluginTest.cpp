/// The plugin's file itself, as a host sees it: loaded, started without an engine, degraded, recovered, stopped.
#include "Fixture.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <dlfcn.h>

#include <cstring>
#include <map>
#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::docker::test;

namespace {

/// The least of a host that the plugin needs: default configuration, with what the test sets on top.
class MiniHost {
public:
  explicit MiniHost(const mos_descriptor_v1 &descriptor) {
    for (std::uint32_t i = 0; i < descriptor.config_keys_count; ++i) {
      const mos_config_key &key = descriptor.config_keys[i];
      config[key.key] = key.default_value != nullptr ? key.default_value : "";
    }
    configTable_ = {sizeof configTable_, 0, this, &getString, &getInt, nullptr, &getList};
    platform_ = {sizeof platform_, 0, this, &info, &setDegraded};
    log_ = {sizeof log_, 0, this, [](void *, std::uint32_t, mos_str, const mos_pair *, std::uint32_t) {},
            [](void *, std::uint32_t) { return 0; }};
    metrics_ = {
        sizeof metrics_, 0, this, &series, [](void *, std::uint64_t, double) {}, [](void *, std::uint64_t, double) {}};
    services_ = {sizeof services_, 0, this, &provide, &withdraw, nullptr, nullptr};
    abi = {sizeof abi, 0, this, &getInterface};
  }

  std::string degraded() const {
    const std::lock_guard lock(mutex_);
    return degraded_;
  }

  mos_host_v1 abi{};
  std::map<std::string, std::string> config;
  const mos_runtime_v1 *runtime = nullptr;

private:
  static MiniHost &of(void *self) { return *static_cast<MiniHost *>(self); }
  static const void *getInterface(void *self, const char *id) {
    MiniHost &host = of(self);
    const std::map<std::string, const void *> tables{{MOS_HOST_CONFIG_1, &host.configTable_},
                                                     {MOS_HOST_PLATFORM_1, &host.platform_},
                                                     {MOS_HOST_LOG_1, &host.log_},
                                                     {MOS_HOST_METRICS_1, &host.metrics_},
                                                     {MOS_HOST_SERVICES_1, &host.services_}};
    const auto found = tables.find(id);
    return found == tables.end() ? nullptr : found->second;
  }
  static const std::string &value(void *self, mos_str key) { return of(self).config.at(std::string(fromAbi(key))); }
  static mos_status getString(void *self, mos_str key, mos_buf *out, mos_error *error) {
    return guarded(error, [&] { giveBuffer(out, value(self, key)); });
  }
  static mos_status getInt(void *self, mos_str key, std::int64_t *out, mos_error *error) {
    static const std::map<std::string, std::int64_t> kUnits{{"", 1},         {"ms", 1},   {"s", 1000}, {"m", 60'000},
                                                            {"MB", 1 << 20}, {"true", 1}, {"false", 0}};
    return guarded(error, [&] {
      const std::string &text = value(self, key);
      const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
      *out = (digits == 0 ? 1 : std::stoll(text.substr(0, digits))) * kUnits.at(text.substr(digits));
    });
  }
  static mos_status getList(void *self, mos_str key, mos_sink items, mos_error *error) {
    return guarded(error, [&] {
      std::string text = value(self, key);
      for (std::size_t at = text.find_first_not_of(", "); at != std::string::npos;
           at = text.find_first_not_of(", ", at)) {
        const std::size_t end = std::min(text.find_first_of(", ", at), text.size());
        items.item(items.ctx, toAbi(std::string_view(text).substr(at, end - at)));
        at = end;
      }
    });
  }
  static mos_status info(void *, mos_buf *out, mos_error *error) {
    return guarded(error, [&] { giveBuffer(out, R"({"installId": "01INSTALL"})"); });
  }
  static mos_status setDegraded(void *self, mos_str reason, mos_error *) {
    const std::lock_guard lock(of(self).mutex_);
    of(self).degraded_ = fromAbi(reason);
    return MOS_OK;
  }
  static mos_status series(void *, std::uint32_t, mos_str name, mos_str, const mos_pair *, std::uint32_t,
                           const double *, std::uint32_t, std::uint64_t *out, mos_error *) {
    CHECK(fromAbi(name).substr(0, 16) == "matrixos_docker_");
    *out = 1;
    return MOS_OK;
  }
  static mos_status provide(void *self, mos_str service, mos_str instance, const void *table, mos_error *) {
    CHECK(fromAbi(service) == MOS_RUNTIME_1);
    CHECK(fromAbi(instance) == "docker");
    of(self).runtime = static_cast<const mos_runtime_v1 *>(table);
    return MOS_OK;
  }
  static mos_status withdraw(void *self, mos_str, mos_str, mos_error *) {
    of(self).runtime = nullptr;
    return MOS_OK;
  }

  mutable std::mutex mutex_;
  std::string degraded_ = "not asked yet";
  mos_host_config_v1 configTable_{};
  mos_host_platform_v1 platform_{};
  mos_host_log_v1 log_{};
  mos_host_metrics_v1 metrics_{};
  mos_host_services_v1 services_{};
};

const mos_descriptor_v1 &descriptor() {
  static void *file = ::dlopen(RUNTIME_DOCKER_SO, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(file != nullptr);
  const auto entry = reinterpret_cast<mos_plugin_entry_fn>(::dlsym(file, MOS_ENTRY_NAME));
  const bool exported = entry != nullptr;
  REQUIRE(exported);
  return *entry();
}

bool waitFor(const std::function<bool()> &condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!condition() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  return condition();
}

} // namespace

TEST_CASE("the descriptor says what the plugin is, and every key has a help text") {
  const mos_descriptor_v1 &d = descriptor();
  CHECK(d.magic == MOS_MAGIC);
  CHECK(std::string(d.id) == "runtime-docker");
  REQUIRE(d.provides_count == 1);
  CHECK(std::string(d.provides[0].instance) == "docker");
  std::set<std::string> keys;
  for (std::uint32_t i = 0; i < d.config_keys_count; ++i) {
    CHECK(keys.insert(d.config_keys[i].key).second);
    CHECK(std::strlen(d.config_keys[i].help) > 10);
  }
  CHECK(keys.count("endpoint") == 1);
}

TEST_CASE("without an engine it starts degraded, and recovers when one appears; again and again") {
  for (int round = 0; round < 3; ++round) {
    TempDir directory;
    MiniHost host(descriptor());
    host.config["endpoint"] = "unix:" + (directory.path() / "engine.sock").string();
    host.config["probe_interval"] = "20ms";
    mos_plugin_v1 plugin{};
    plugin.struct_size = sizeof plugin;
    mos_error error{};
    REQUIRE(descriptor().create(&host.abi, &plugin, &error) == MOS_OK);
    REQUIRE(plugin.start(plugin.self, &error) == MOS_OK);
    REQUIRE(host.runtime != nullptr);
    CHECK(waitFor([&] { return contains(host.degraded(), "there is no engine socket"); }));
    const RuntimeClient client(host.runtime);
    const CallScope call(std::chrono::seconds{20});
    const Error away = failure([&] { client.capabilities(call.abi()); });
    CHECK(away.status() == Status::Unavailable);
    CHECK(away.reason() == MOS_REASON_ENGINE_UNREACHABLE);
    {
      const FakeEngine engine(directory.path());
      CHECK(waitFor([&] { return host.degraded().empty(); }));
      CHECK(contains(client.capabilities(call.abi()), "\"engine\":\"docker\""));
    }
    CHECK(waitFor([&] { return contains(host.degraded(), "nobody listens"); }));
    CHECK(plugin.stop(plugin.self, &error) == MOS_OK);
    CHECK(host.runtime == nullptr);
    plugin.destroy(plugin.self);
  }
}

TEST_CASE("a bad endpoint or owner fails the start with its key's name") {
  for (const auto &[key, value] : {std::pair("endpoint", "tcp://0.0.0.0:2375"), std::pair("volume_owner", "alice")}) {
    MiniHost host(descriptor());
    host.config[key] = value;
    mos_plugin_v1 plugin{};
    plugin.struct_size = sizeof plugin;
    mos_error error{};
    REQUIRE(descriptor().create(&host.abi, &plugin, &error) == MOS_OK);
    CHECK(plugin.start(plugin.self, &error) == MOS_INVALID_ARGUMENT);
    CHECK(contains(error.message, value));
    plugin.destroy(plugin.self);
  }
}

TEST_CASE("stop ends a call that hangs in the engine") {
  TempDir directory;
  FakeEngine engine(directory.path());
  engine.on("GET", "/events", matrixos::test::stalled(200, ""));
  MiniHost host(descriptor());
  host.config["endpoint"] = engine.endpoint();
  mos_plugin_v1 plugin{};
  plugin.struct_size = sizeof plugin;
  mos_error error{};
  REQUIRE(descriptor().create(&host.abi, &plugin, &error) == MOS_OK);
  REQUIRE(plugin.start(plugin.self, &error) == MOS_OK);
  const RuntimeClient client(host.runtime);
  std::string reason;
  std::thread watcher(
      [&] { reason = failure([&] { client.events(nullptr, "{}", matrixos::docker::test::kTakeAll); }).reason(); });
  CHECK(waitFor([&] { return engine.count("GET", "/events") == 1; }));
  CHECK(plugin.stop(plugin.self, &error) == MOS_OK);
  watcher.join();
  CHECK(reason == "STOPPING");
  plugin.destroy(plugin.self);
}
