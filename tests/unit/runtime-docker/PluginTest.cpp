/// The plugin's file itself, as a host sees it: loaded, started without an engine, degraded, recovered, stopped.
#include "Fixture.h"
#include "support/PluginUnderTest.h"
#include "support/Wait.h"

#include <matrixos/abi/plugin.h>

#include <cstring>
#include <set>
#include <thread>

using namespace matrixos;
using namespace matrixos::docker::test;
using namespace matrixos::test;

namespace {

const mos_descriptor_v1 &descriptor() {
  return loadPlugin(RUNTIME_DOCKER_SO);
}

struct Host : FakeHost {
  Host() : FakeHost(descriptor()) { setInfo(R"({"installId": "01INSTALL"})"); }
};

const mos_runtime_v1 *runtimeOf(const FakeHost &host) {
  return host.provided<mos_runtime_v1>(MOS_RUNTIME_1, "docker");
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
    Host host;
    host.set("endpoint", "unix:" + (directory.path() / "engine.sock").string());
    host.set("probe_interval", "20ms");
    PluginUnderTest plugin(descriptor(), host);
    REQUIRE(plugin.start() == MOS_OK);
    REQUIRE(runtimeOf(host) != nullptr);
    REQUIRE_FALSE(host.series().empty());
    for (const std::string &name : host.series())
      CHECK(name.substr(0, 16) == "matrixos_docker_");
    CHECK(eventually([&] { return contains(host.degraded(), "there is no engine socket"); }));
    const RuntimeClient client(runtimeOf(host));
    const CallScope call(std::chrono::seconds{20});
    const Error away = failure([&] { client.capabilities(call.abi()); });
    CHECK(away.status() == Status::Unavailable);
    CHECK(away.reason() == MOS_REASON_ENGINE_UNREACHABLE);
    {
      const FakeEngine engine(directory.path());
      CHECK(eventually([&] { return host.degraded().empty(); }));
      CHECK(contains(client.capabilities(call.abi()), "\"engine\":\"docker\""));
    }
    CHECK(eventually([&] { return contains(host.degraded(), "nobody listens"); }));
    CHECK(plugin.stop() == MOS_OK);
    CHECK(runtimeOf(host) == nullptr);
  }
}

TEST_CASE("a bad endpoint or owner fails the start with its key's name") {
  for (const auto &[key, value] : {std::pair("endpoint", "tcp://0.0.0.0:2375"), std::pair("volume_owner", "alice")}) {
    Host host;
    host.set(key, value);
    PluginUnderTest plugin(descriptor(), host);
    CHECK(plugin.start() == MOS_INVALID_ARGUMENT);
    CHECK(contains(plugin.message(), value));
  }
}

TEST_CASE("stop ends a call that hangs in the engine") {
  TempDir directory;
  FakeEngine engine(directory.path());
  engine.on("GET", "/events", matrixos::test::stalled(200, ""));
  Host host;
  host.set("endpoint", engine.endpoint());
  PluginUnderTest plugin(descriptor(), host);
  REQUIRE(plugin.start() == MOS_OK);
  const RuntimeClient client(runtimeOf(host));
  std::string reason;
  std::thread watcher(
      [&] { reason = failure([&] { client.events(nullptr, "{}", matrixos::docker::test::kTakeAll); }).reason(); });
  CHECK(eventually([&] { return engine.count("GET", "/events") == 1; }));
  CHECK(plugin.stop() == MOS_OK);
  watcher.join();
  CHECK(reason == "STOPPING");
}
