/// The built plugin, loaded as the daemon loads it, under a host with a database and an orchestrator of the test's
/// making.
#include "Stage.h"
#include "support/PluginUnderTest.h"
#include "support/TempDir.h"

#include <matrixos/orchestrator.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

using namespace matrixos;
using namespace matrixos::test;
using matrixos::gateway::test::answerOf;
using matrixos::gateway::test::messageOf;
using matrixos::gateway::test::Stage;
namespace gw = matrixos::gateway::test;

namespace {

/// Knows one token, and what the test says of the runtime.
class SmallOrchestrator final : public Orchestrator {
public:
  void provision(const Call &, std::string_view, std::string_view, Completion &) override {}
  void start(const Call &, std::string_view, Completion &) override {}
  void stop(const Call &, std::string_view, std::uint64_t, std::string_view, Completion &) override {}
  void destroy(const Call &, std::string_view, Completion &) override {}
  std::string get(std::string_view) override { throw Error(Status::NotFound, "none"); }
  void list(std::string_view, const std::function<bool(std::string_view)> &) override {}
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &watcher) override {
    watcher.synced(watcher.ctx, 0);
    watched = true;
    return 7;
  }
  void unwatch(std::uint64_t) override { watched = false; }
  void recordActivity(const mos_activity *, std::uint32_t) override {}
  std::optional<TokenOwner> tokenOwner(std::string_view token) override {
    if (token != "mxi_alice") return std::nullopt;
    TokenOwner owner;
    owner.id = "01ALICE";
    owner.handle = "alice";
    owner.bound = false;
    return owner;
  }
  std::string runtimeCapabilities(const Call &) override {
    ++asked;
    const std::lock_guard lock(mutex);
    if (capabilities.empty()) throw Error(Status::Unavailable, "the runtime is away");
    return capabilities;
  }

  std::mutex mutex;
  std::string capabilities;
  std::atomic<int> asked{0}; ///< for them
  std::atomic<bool> watched{false};
};

class Setting {
public:
  Setting() : plugin(loadPlugin(AI_GATEWAY_PLUGIN)), host(dir / "one.db") {
    for (std::uint32_t i = 0; i < plugin.config_keys_count; ++i)
      host.set(plugin.config_keys[i].key,
               plugin.config_keys[i].default_value == nullptr ? "" : plugin.config_keys[i].default_value);
    writeFile(dir / "admin.secret", "hush\n");
    host.setInfo(R"({"dataDir":")" + dir.path().string() + "\"}");
    host.set("platform.secret_file", "");
    host.set("listen", "127.0.0.1:" + std::to_string(port) + ", host-gateway:" + std::to_string(port));
    host.set("upstream", upstream.url());
    host.set("api_keys", "sk-ant-one\nsk-ant-two");
    writeFile(dir / "prices.json", gw::kPrices);
    host.set("prices", (dir / "prices.json").string());
    host.set("usage_retention", "9600h"); // the test's host knows no days
    host.offer(MOS_ORCHESTRATOR_1, orchestrator.table());
  }
  int health(const std::string &address = "127.0.0.1") const {
    try {
      RawConnection connection(connectTo(address, port));
      connection.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
      return connection.receiveResponse().status;
    } catch (const std::exception &) {
      return 0;
    }
  }
  Response call() const { return request(port, "POST", "/v1/messages", {{"x-api-key", "mxi_alice"}}, Stage::body()); }

  TempDir dir;
  const mos_descriptor_v1 &plugin;
  std::uint16_t port = freePort();
  gw::Upstream upstream{answerOf("200 OK", messageOf(10, 20))};
  SmallOrchestrator orchestrator;
  TestHost host;
};

} // namespace

TEST_CASE("the plugin serves, takes new keys and limits while it runs, and leaves nothing behind") {
  Setting setting;
  PluginUnderTest plugin(setting.plugin, setting.host);
  REQUIRE_MESSAGE(plugin.start() == MOS_OK, plugin.message());
  CHECK(setting.orchestrator.watched);
  CHECK(setting.health() == 200);
  CHECK(setting.call().status == 200);
  CHECK(setting.call().status == 200);
  const auto requests = setting.upstream.requests();
  CHECK(requests[0].find("x-api-key: sk-ant-one\r\n") != std::string::npos); // in turn
  CHECK(requests[1].find("x-api-key: sk-ant-two\r\n") != std::string::npos);
  CHECK(eventually([&] { return setting.host.lines("request").size() == 3; }));
  CHECK(setting.host.metric("matrixos_ai_gateway_calls_total{family=\"haiku\",outcome=\"ok\"}") == 2);
  CHECK(setting.host.metric("matrixos_ai_gateway_cost_usd_total{family=\"haiku\"}") == doctest::Approx(0.00022));
  // Sums over all series have each call once, also when its row is written.
  CHECK(setting.host.request("GET", "/ai/usage").body.find("\"requests\":2") != std::string::npos);
  CHECK(setting.host.metric("matrixos_ai_gateway_calls_total") == 2);
  CHECK(setting.host.metric("matrixos_ai_gateway_tokens_total") == 60);
  CHECK(setting.host.metric("matrixos_ai_gateway_cost_usd_total") == doctest::Approx(0.00022));
  CHECK(request(setting.port, "GET", "/instances", {{"x-api-key", "hush"}}).status == 200);

  setting.host.set("api_keys", "sk-ant-three");
  setting.host.set("daily_limit_usd", "0.0001");
  REQUIRE_MESSAGE(plugin.reconfigure() == MOS_OK, plugin.message());
  const Response refused = setting.call();
  CHECK(refused.status == 429);
  CHECK(refused.body.find("spend limit reached (daily; resets ") != std::string::npos);
  setting.host.set("daily_limit_usd", "");
  REQUIRE(plugin.reconfigure() == MOS_OK);
  CHECK(setting.call().status == 200);
  CHECK(setting.upstream.requests().back().find("x-api-key: sk-ant-three\r\n") != std::string::npos);

  // What cannot be used changes nothing.
  setting.host.set("daily_limit_usd", "a lot");
  CHECK(plugin.reconfigure() != MOS_OK);
  CHECK(plugin.message().find("write one like 12.50") != std::string::npos);
  CHECK(setting.call().status == 200);
  CHECK(plugin.stop() == MOS_OK);
  CHECK(setting.health() == 0);
  CHECK_FALSE(setting.orchestrator.watched);
  CHECK(setting.host.timers() == 0);
  CHECK(setting.host.log().find("sk-ant") == std::string::npos);
}

TEST_CASE("prices that changed in their file count from a reload on, and bad ones change nothing") {
  Setting setting;
  const auto write = [&](const std::string &prices) { writeFile(setting.dir / "prices.json", prices); };
  /// Whether the next call costs so many dollars.
  const auto costs = [&](double usd) {
    const std::string metric = "matrixos_ai_gateway_cost_usd_total";
    const double before = setting.host.metric(metric);
    CHECK(setting.call().status == 200);
    return eventually([&] { return setting.host.metric(metric) == doctest::Approx(before + usd); });
  };
  std::string prices = gw::kPrices;
  PluginUnderTest plugin(setting.plugin, setting.host);
  REQUIRE(plugin.start() == MOS_OK);
  CHECK(costs(0.00011));
  prices.replace(prices.find("\"output\":5"), 10, "\"output\":50");
  write(prices);
  REQUIRE(plugin.reconfigure() == MOS_OK);
  CHECK(costs(0.00101));
  for (const char *bad : {"{", R"({"unit":"USD per million tokens","models":[],"web_search":0})"}) {
    write(bad);
    CHECK(plugin.reconfigure() != MOS_OK);
    CHECK(plugin.message().find((setting.dir / "prices.json").string() + ": ") != std::string::npos);
    CHECK(costs(0.00101));
  }
  write(gw::kPrices);
  const std::string authority = (setting.dir / "ca.pem").string();
  setting.host.set("upstream_ca_file", authority);
  CHECK(plugin.reconfigure() != MOS_OK);
  CHECK(plugin.message().find(authority) != std::string::npos);
  CHECK(costs(0.00101));
  CHECK(plugin.stop() == MOS_OK);
}

TEST_CASE("a change of the section leaves open calls alone, a stop settles them, and the next start knows them") {
  Setting setting;
  std::atomic<bool> goOn{false};
  gw::Upstream slow([&](const Peer &peer, const std::string &) {
    peer.say(gw::kStreamHead + gw::chunk(gw::startEvent(10)));
    if (!eventually([&] { return goOn || peer.stopping(); })) return;
    peer.say(gw::chunk(gw::endEvents(20)) + "0\r\n\r\n");
  });
  setting.host.set("upstream", slow.url());
  setting.host.set("drain_timeout", "100ms");
  const auto open = [&] {
    const std::string body = Stage::body(100, true);
    RawConnection client(setting.port);
    client.send("POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: mxi_alice\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    CHECK(client.receive(12) == "HTTP/1.1 200");
    return client;
  };
  const auto rows = [&] {
    return request(setting.port, "GET", "/usage/summary?format=csv", {{"x-api-key", "hush"}}).body;
  };
  {
    PluginUnderTest plugin(setting.plugin, setting.host);
    REQUIRE(plugin.start() == MOS_OK);
    auto client = open();
    setting.host.set("upstream", setting.upstream.url());
    setting.host.set("api_keys", "sk-ant-three");
    setting.host.set("daily_limit_usd", "0.0000001");
    REQUIRE(plugin.reconfigure() == MOS_OK);
    CHECK(setting.call().status == 429);
    goOn = true;
    std::string rest;
    while (rest.find("message_stop\"}\n\n\r\n0\r\n\r\n") == std::string::npos) {
      const std::string more = client.receive(1);
      REQUIRE_FALSE(more.empty());
      rest += more;
    }
    CHECK(eventually([&] { return rows().find(",0.00011,false\r\n") != std::string::npos; }));

    goOn = false;
    setting.host.set("upstream", slow.url());
    setting.host.set("daily_limit_usd", "");
    REQUIRE(plugin.reconfigure() == MOS_OK);
    auto cut = open();
    CHECK(plugin.stop() == MOS_OK);
    CHECK(setting.health() == 0);
  }
  PluginUnderTest plugin(setting.plugin, setting.host);
  REQUIRE_MESSAGE(plugin.start() == MOS_OK, plugin.message());
  const std::string all = rows();
  CHECK(std::count(all.begin(), all.end(), '\n') == 3); // with the header line
  CHECK(all.find(",0.00011,false\r\n") != std::string::npos);
  CHECK(all.find(",true\r\n") != std::string::npos);
  CHECK(setting.host.metric("matrixos_ai_gateway_held_calls") == 0);
  CHECK(setting.health() == 200);
  CHECK(plugin.stop() == MOS_OK);
}

TEST_CASE("gateways that operators registered are there when the plugin runs again") {
  Setting setting;
  const Headers admin{{"x-api-key", "hush"}, {"Content-Type", "application/json"}};
  const auto ask = [&](const char *method, const std::string &path, const std::string &body = {}) {
    return request(setting.port, method, path, admin, body);
  };
  const std::string bob = R"({"handle":"bob","gatewayUrl":"http://10.0.0.2:4000"})";
  std::string list;
  {
    PluginUnderTest plugin(setting.plugin, setting.host);
    REQUIRE_MESSAGE(plugin.start() == MOS_OK, plugin.message());
    CHECK(ask("POST", "/instances/register", R"({"handle":"bob","gatewayUrl":"http://10.0.0.1"})").status == 201);
    CHECK(ask("POST", "/instances/register", bob).status == 201); // in its place
    CHECK(ask("POST", "/instances/register", R"({"handle":"carol","gatewayUrl":"http://10.0.0.3"})").status == 201);
    CHECK(ask("POST", "/instances/register", R"({"handle":"carol"})").status == 400);
    CHECK(ask("DELETE", "/instances/carol").status == 200);
    CHECK(ask("DELETE", "/instances/carol").status == 404);
    list = ask("GET", "/instances").body;
    CHECK(list.find(R"([{"handle":"bob","gatewayUrl":"http://10.0.0.2:4000","registeredAt":)") == 0);
    CHECK(plugin.stop() == MOS_OK);
  }
  {
    PluginUnderTest plugin(setting.plugin, setting.host);
    REQUIRE_MESSAGE(plugin.start() == MOS_OK, plugin.message());
    CHECK(ask("GET", "/instances").body == list);
    // What cannot be kept is not there either.
    setting.host.onBatch([](const std::string &sql) {
      if (sql.find("ai_gateway_registered") != std::string::npos)
        throw Error(Status::ResourceExhausted, "the disk is full", "DISK_FULL");
    });
    CHECK(ask("POST", "/instances/register", R"({"handle":"dave","gatewayUrl":"http://10.0.0.4"})").status == 503);
    CHECK(ask("DELETE", "/instances/bob").status == 503);
    CHECK(ask("GET", "/instances").body == list);
    CHECK(plugin.stop() == MOS_OK);
  }
}

TEST_CASE("it listens where containers reach this machine as soon as the runtime says where that is") {
  Setting setting;
  PluginUnderTest plugin(setting.plugin, setting.host);
  REQUIRE(plugin.start() == MOS_OK);
  CHECK(setting.health() == 200);
  CHECK(setting.health("127.0.0.2") == 0);
  {
    const std::lock_guard lock(setting.orchestrator.mutex);
    setting.orchestrator.capabilities = R"({"hostGateway":"127.0.0.2"})";
  }
  CHECK(eventually([&] { return setting.health("127.0.0.2") == 200; }));
  CHECK(setting.health() == 200);
  CHECK(setting.host.everDegraded() == "");
  CHECK(plugin.stop() == MOS_OK);
}

TEST_CASE("changes do not wait for a runtime that does not answer") {
  Setting setting;
  PluginUnderTest plugin(setting.plugin, setting.host);
  REQUIRE(plugin.start() == MOS_OK);
  std::unique_lock silent(setting.orchestrator.mutex);
  const int before = setting.orchestrator.asked;
  REQUIRE(eventually([&] { return setting.orchestrator.asked > before; }));
  std::atomic<bool> changed{false};
  std::thread change([&] { changed = plugin.reconfigure() == MOS_OK; });
  CHECK(eventually([&] { return changed.load(); }));
  silent.unlock();
  change.join();
  CHECK(plugin.stop() == MOS_OK);
}

TEST_CASE("an address that is taken degrades it until it is free; the others are served meanwhile") {
  Setting setting;
  LoopbackPort taken(0, "127.0.0.3");
  taken.listen();
  const std::uint16_t other = taken.port();
  setting.host.set("listen", "127.0.0.3:" + std::to_string(other) + ", 127.0.0.1:" + std::to_string(setting.port));
  PluginUnderTest plugin(setting.plugin, setting.host);
  REQUIRE(plugin.start() == MOS_OK);
  CHECK(setting.health() == 200);
  CHECK(setting.host.degraded().find("127.0.0.3:" + std::to_string(other)) != std::string::npos);
  taken.close();
  CHECK(eventually([&] { return setting.host.degraded().empty(); }));
  CHECK(RawConnection(connectTo("127.0.0.3", other)).fd() >= 0);
  CHECK(plugin.stop() == MOS_OK);
}

TEST_CASE("without a key it runs degraded, and says what to do") {
  Setting setting;
  setting.host.set("api_keys", "");
  PluginUnderTest plugin(setting.plugin, setting.host);
  REQUIRE(plugin.start() == MOS_OK);
  CHECK(setting.host.degraded().find("set api_keys_file") != std::string::npos);
  CHECK(setting.call().status == 529);
  CHECK(plugin.stop() == MOS_OK);
}
