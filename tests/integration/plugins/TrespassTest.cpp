// What plugins do to each other and to the daemon short of crashing, apart from the database (SqlFaultsTest): it is
// refused or waited out, named in the log, in /ready with what to do, and in the metrics, and everybody else goes on.
#include "support/DaemonProcess.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>

using namespace matrixos::test;

namespace {

/// A daemon with a plugin that trespasses, one that calls it, and one that minds its own business.
class Trespassed : public DaemonProcess {
public:
  explicit Trespassed(const Values &values = {})
      : DaemonProcess([&] {
          Values all{{"plugins.path", (buildDir() / "test-plugins").string()},
                     {"plugins.enabled", "fake-good, fake-hostile, fake-loops, fake-consumer"}};
          all.insert(values.begin(), values.end());
          return all;
        }()) {
    start();
  }

  /// "<status> <message>"
  std::string take(const std::string &kind, const std::string &name) const {
    const Response answer = api("GET", "/fake-hostile/take?kind=" + kind + "&name=" + name);
    return member(answer.body, "status") + " " + member(answer.body, "message");
  }
  std::string call(const std::string &function) const {
    return member(api("GET", "/fake-consumer/call?function=" + function).body, "status");
  }
  std::string metric(const std::string &series) const {
    const std::string body = api("GET", "/metrics").body, front = "\n" + series + " ";
    const std::size_t at = body.find(front);
    return at == std::string::npos ? "" : body.substr(at + front.size(), body.find('\n', at + 1) - at - front.size());
  }

  /// The plugin is degraded, and /ready, the list of plugins and the log say by what; the daemon is ready all the same.
  void checkNamed(const std::string &plugin, const std::string &what) const {
    CAPTURE(what);
    // A completion that has blocked is reported once it returns, when its caller may have gone on already.
    REQUIRE(eventually([&] { return has(api("GET", "/ready").body, what); }));
    const Response ready = api("GET", "/ready");
    CHECK(ready.status == 200);
    const auto standing = parseObject(ready.body)->getObject("plugins")->getObject(plugin);
    CHECK(standing->getValue<std::string>("state") == "degraded");
    const auto reason = standing->getValue<std::string>("reason");
    CHECK(has(reason, what));
    CHECK(has(reason, "matrixosctl plugins disable " + plugin));
    CHECK(has(ctl({"plugins", "list"}).out, what));
    CHECK(eventually([&] { return log().find("plugin " + plugin + ": " + what) != std::string::npos; }));
    checkServes();
  }
  void checkServes() const {
    CHECK(api("GET", "/health").status == 200);
    CHECK(api("GET", "/fake-good").body == R"({"from":"fake-good"})");
  }
};

} // namespace

TEST_CASE("a plugin that wants the route, topic or metric of another, or of the core, is refused and named for each") {
  Trespassed daemon;
  struct Want {
    const char *kind, *name, *whose;
  };
  const Want wants[] = {
      {"path", "/fake-good/mine", "the path /fake-good/mine is the plugin fake-good's"},
      {"topic", "fake-good.mine", "the topic fake-good.mine is the plugin fake-good's"},
      {"topic", "service.provided", "the topic service.provided is the host's"},
      {"metric", "matrixos_fake_good_total", "the metric matrixos_fake_good_total is the plugin fake-good's"},
      {"metric", "matrixos_api_requests_total", "the metric matrixos_api_requests_total is the host's"},
  };
  for (const Want &want : wants) {
    CAPTURE(std::string(want.name));
    CHECK(daemon.take(want.kind, want.name) == "7 " + std::string(want.whose));
  }
  for (const Want &want : wants)
    daemon.checkNamed("fake-hostile", "it was refused what is not its own: " + std::string(want.whose));
  CHECK(daemon.metric("matrixos_plugin_trespasses_total{plugin=\"fake-hostile\"}") == "5");
  CHECK(daemon.api("GET", "/fake-good/mine").status == 404);
  CHECK(daemon.metric("matrixos_fake_good_total").empty());
  // The next life begins without the faults of the one before.
  CHECK(daemon.ctl({"plugins", "reload", "fake-hostile"}).status == 0);
  CHECK(member(daemon.api("GET", "/plugins/fake-hostile").body, "state") == "running");
  CHECK(daemon.take("topic", "fake-hostile.mine") == "0 ");
}

TEST_CASE("a plugin that guesses the handles of others' metrics adds to none") {
  Trespassed daemon;
  CHECK(daemon.take("handles", "all") == "0 ");
  CHECK(daemon.metric("matrixos_plugin_exceptions_total{plugin=\"fake-good\"}") == "0");
  CHECK(daemon.metric("matrixos_config_last_reload_successful") == "1");
}

TEST_CASE("a plugin that tries ever new names fills neither the log nor /ready") {
  Trespassed daemon;
  for (int i = 0; i < 200; ++i)
    daemon.take("topic", "fake-good.n" + std::to_string(i));
  CHECK(daemon.metric("matrixos_plugin_trespasses_total{plugin=\"fake-hostile\"}") == "200");
  CHECK(daemon.api("GET", "/ready").body.size() < 4096);
  std::size_t lines = 0;
  const std::string log = daemon.log();
  for (std::size_t at = log.find("not its own"); at != std::string::npos; at = log.find("not its own", at + 1))
    ++lines;
  CHECK(lines < 100);
  daemon.checkServes();
}

TEST_CASE("a completion or a [loop] function that blocks is named") {
  Trespassed daemon;
  CHECK(daemon.call("wake&fault=doze") == "OK");
  daemon.checkNamed("fake-consumer", "its completion of ensure_running() blocks");
  daemon.api("GET", "/fake-loops/calls?fault=doze");
  CHECK(daemon.call("forget") == "OK");
  daemon.checkNamed("fake-loops", "its forget() blocks");
  CHECK(daemon.metric("matrixos_plugin_blocked_total{plugin=\"fake-loops\"}") == "1");
  CHECK(daemon.metric("matrixos_plugin_blocked_total{plugin=\"fake-consumer\"}") == "1");
}

TEST_CASE("a completion or a [loop] function that never returns is named while it does not") {
  for (const char *function : {"wake&fault=hang", "forget"}) {
    CAPTURE(function);
    Trespassed daemon;
    const bool completion = std::string(function) != "forget";
    if (!completion) daemon.api("GET", "/fake-loops/calls?fault=hang");
    std::thread caller([&] {
      try {
        daemon.call(function); // until the daemon is gone
      } catch (const std::exception &) {
      }
    });
    const std::string plugin = completion ? "fake-consumer" : "fake-loops";
    const std::string what = completion ? "its completion of ensure_running() blocks" : "its forget() blocks";
    CHECK(eventually([&] { return daemon.api("GET", "/ready").body.find(what) != std::string::npos; }));
    daemon.checkNamed(plugin, what);
    CHECK(daemon.metric("matrixos_plugin_blocked_total{plugin=\"" + plugin + "\"}") == "1");
    daemon.kill();
    caller.join();
  }
}

TEST_CASE("a table that was given back is refused to who goes on using it, by name") {
  Trespassed daemon;
  CHECK(daemon.call("released") == "FAILED_PRECONDITION");
  daemon.checkNamed("fake-consumer", "describe() of matrixos.lifecycle/1 was called after its table was released");
}

TEST_CASE("threads that a plugin leaves behind are counted and named for as long as they run") {
  for (const char *at : {"leak-quiet", "leak"}) {
    CAPTURE(at);
    Trespassed daemon(DaemonProcess::Values{{"fake-hostile.at", at}});
    CHECK_FALSE(has(daemon.api("GET", "/ready").body, "thread"));
    const Finished disabled = daemon.ctl({"plugins", "disable", "fake-hostile"});
    CHECK_MESSAGE(disabled.status == 0, disabled.out);
    const std::string what = "1 thread that it made runs on after it was stopped";
    CHECK(has(daemon.api("GET", "/ready").body, what));
    CHECK(eventually([&] { return daemon.log().find("plugin fake-hostile: " + what) != std::string::npos; }));
    CHECK(daemon.metric("matrixos_plugin_threads_left_total{plugin=\"fake-hostile\"}") == "1");
    daemon.checkServes();
    CHECK(daemon.ctl({"plugins", "enable", "fake-hostile"}).status == 0);
    const std::string reason = member(daemon.api("GET", "/plugins/fake-hostile").body, "reason");
    CHECK(has(reason, what));
    CHECK(has(reason, "which only a restart of the daemon ends"));
    CHECK(member(daemon.api("GET", "/plugins/fake-hostile").body, "state") == "degraded");
    CHECK(daemon.stop() == 0);
  }
  // One that joins its threads is left in peace.
  Trespassed daemon;
  CHECK(daemon.call("wake") == "OK");
  CHECK(daemon.ctl({"plugins", "reload", "fake-loops"}).status == 0);
  CHECK_FALSE(has(daemon.api("GET", "/ready").body, "thread"));
}
