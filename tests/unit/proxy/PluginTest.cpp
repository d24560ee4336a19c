/// The built plugin, loaded as the daemon loads it, under a host, an orchestrator and a lifecycle of the test's making.
#include "Kit.h"
#include "support/PluginUnderTest.h"
#include "support/TempDir.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/call.hpp>
#include <matrixos/lifecycle.hpp>
#include <matrixos/orchestrator.hpp>

#include <doctest/doctest.h>

using namespace kit;
using namespace matrixos;
using namespace matrixos::test;

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
    if (handle == "crasher") {
      throw Error(Status::Unavailable,
                  "the instance ended 4 times before it answered: exit code 137: out of memory; /srv/secret",
                  "INSTANCE_ENDS");
    }
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
  void reportOpen(const mos_str *handles, std::uint32_t count) override {
    const std::lock_guard lock(mutex_);
    for (std::uint32_t i = 0; i < count; ++i)
      ++open_[std::string(fromAbi(handles[i]))];
  }
  std::uint64_t open(const std::string &handle) {
    const std::lock_guard lock(mutex_);
    return open_[handle];
  }
  std::uint64_t uses(const std::string &handle) {
    const std::lock_guard lock(mutex_);
    return uses_[handle];
  }
  std::atomic<int> wakes{0};
  std::uint16_t port = 0;

private:
  std::mutex mutex_;
  std::map<std::string, std::uint64_t> uses_, open_;
};

/// The plugin's host, with what the plugin logged of itself.
struct ProxyHost : FakeHost {
  ProxyHost(const mos_descriptor_v1 &plugin, const TempDir &dir) : FakeHost(plugin) {
    set("listen", "127.0.0.1:0");
    set("platform.secret_file", "");
    set("metrics.token_file", "");
    setInfo(R"({"domain":"matrix.test","apiSocket":"","dataDir":")" + dir.path().string() + "\"}");
  }
  /// Where the plugin said last that it listens.
  std::uint16_t port() const { return Address::parse(lines("listening").back().fields.at("address")).port(); }
  std::vector<Line> requests() const { return lines("request"); }
  double counted() const { return metric("matrixos_proxy_requests_total"); }
};

} // namespace

TEST_CASE("the plugin from start to stop, twice in one process") {
  const mos_descriptor_v1 &descriptor = loadPlugin(PROXY_PLUGIN);
  CHECK(std::string(descriptor.id) == "proxy");
  Upstream shell(Upstream::echo);
  const TempDir dir;
  writeFile(dir / "admin.secret", "t0psecret\n");
  SmallOrchestrator orchestrator;
  SmallLifecycle lifecycle;
  lifecycle.port = shell.port();
  for (int round = 0; round < 2; ++round) {
    ProxyHost host(descriptor, dir);
    host.offer(MOS_ORCHESTRATOR_1, orchestrator.table());
    host.offer(MOS_LIFECYCLE_1, lifecycle.table());
    PluginUnderTest plugin(descriptor, host);
    REQUIRE_MESSAGE(plugin.start() == MOS_OK, plugin.message());
    REQUIRE(orchestrator.watched());
    orchestrator.announce("this is no record");
    orchestrator.announce(instanceJson("alice", "running", 1, shell.port()));
    orchestrator.announce(instanceJson("sleeper", "stopped", 1, 0));
    orchestrator.announce(instanceJson("crasher", "stopped", 1, 0));
    const std::uint64_t before = lifecycle.uses("alice");
    {
      Conn conn = Conn::to(host.port());
      const auto answer = conn.get("/x?secret=1", "alice.matrix.test", "Authorization: Bearer t0psecret\r\n");
      CHECK(answer.status == 200);
      CHECK(fieldOf(answer.body, "Authorization").empty());
      CHECK(conn.get("/", "sleeper.localhost").status == 200);
      CHECK(lifecycle.wakes == round + 1);
      const auto crashed = conn.get("/", "crasher.localhost");
      CHECK(crashed.status == 503);
      CHECK(crashed.body.find("its program ended with exit code 137, out of memory (INSTANCE_ENDS)") !=
            std::string::npos);
      CHECK(crashed.body.find("/srv") == std::string::npos);
      // A request whose body does not come: lifecycle hears that it is under way.
      const std::uint64_t open = lifecycle.open("alice");
      conn.send("GET /pending HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 1\r\n\r\n");
      CHECK(eventually([&] { return lifecycle.open("alice") > open; }));
    }
    CHECK(eventually([&] { return lifecycle.uses("alice") == before + 2 && host.requests().size() == 4; }));
    auto line = host.requests().front().fields;
    CHECK(line["handle"] == "alice");
    CHECK(line["path"] == "/x");
    CHECK(line["status"] == "200");
    CHECK(host.requests()[1].fields["woken"] == "true");
    CHECK(host.counted() == 4);
    const std::uint16_t port = host.port();
    CHECK(plugin.stop() == MOS_OK);
    CHECK_FALSE(orchestrator.watched());
    CHECK_THROWS(Conn::to(port));
  }
}

TEST_CASE("the plugin takes another configuration while it runs, or says why not") {
  const mos_descriptor_v1 &descriptor = loadPlugin(PROXY_PLUGIN);
  Upstream shell(Upstream::echo);
  const TempDir dir;
  SmallOrchestrator orchestrator;
  ProxyHost host(descriptor, dir);
  host.offer(MOS_ORCHESTRATOR_1, orchestrator.table());
  PluginUnderTest plugin(descriptor, host);
  REQUIRE_MESSAGE(plugin.start() == MOS_OK, plugin.message());
  orchestrator.announce(instanceJson("alice", "running", 1, shell.port()));
  const std::uint16_t first = host.port();
  Conn kept = Conn::to(first);
  CHECK(kept.get("/", "alice.localhost").status == 200);

  const std::uint16_t second = freePort();
  host.set("listen", "127.0.0.1:" + std::to_string(second));
  host.set("max_uri", "256");
  REQUIRE_MESSAGE(plugin.reconfigure() == MOS_OK, plugin.message());
  CHECK(host.port() == second);
  CHECK_THROWS(Conn::to(first));
  CHECK(Conn::to(second).get("/", "alice.localhost").status == 200);
  CHECK(kept.get("/", "alice.localhost").status == 200);
  CHECK(kept.get("/" + std::string(300, 'x'), "alice.localhost").status == 414);

  const auto refused = [&](const std::string &key, const std::string &value, const std::string &says) {
    const std::string before = host.get(key);
    host.set(key, value);
    CHECK(plugin.reconfigure() != MOS_OK);
    CHECK_MESSAGE(plugin.message().find(says) != std::string::npos, plugin.message());
    host.set(key, before);
    CHECK(Conn::to(second).get("/", "alice.localhost").status == 200);
  };
  refused("listen", "127.0.0.1:" + std::to_string(shell.port()), "cannot listen on 127.0.0.1:");
  refused("unix_mode", "rw-rw----", "no file mode");
  refused("trusted_peers", "10.0.0.0/99", "10.0.0.0/99");
  refused("max_header", "64KB", "buffer");
  refused("tls_listen", "127.0.0.1:0", "for TLS");
  CHECK(plugin.stop() == MOS_OK);
}

TEST_CASE("a start that fails says why, and leaves nothing behind") {
  const mos_descriptor_v1 &descriptor = loadPlugin(PROXY_PLUGIN);
  const TempDir dir;
  SmallOrchestrator orchestrator;
  ProxyHost host(descriptor, dir);
  std::string message;
  const auto startFails = [&] {
    PluginUnderTest plugin(descriptor, host);
    const mos_status status = plugin.start();
    message = plugin.message();
    return status;
  };
  CHECK(startFails() == MOS_UNAVAILABLE); // no orchestrator
  host.offer(MOS_ORCHESTRATOR_1, orchestrator.table());
  host.set("trusted_peers", "10.0.0.0/99");
  CHECK(startFails() == MOS_INVALID_ARGUMENT);
  CHECK(message.find("10.0.0.0/99") != std::string::npos);
  host.set("trusted_peers", "");
  Upstream taken(Upstream::echo);
  host.set("listen", "127.0.0.1:" + std::to_string(taken.port()));
  CHECK(startFails() == MOS_ALREADY_EXISTS);
  CHECK(message.find("cannot listen on 127.0.0.1:") == 0);
  CHECK_FALSE(orchestrator.watched());
}
