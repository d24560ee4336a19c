// A reload says what it did, and what the daemon shows of its configuration is what counts.
#include "integration/runtime-simulated/SimulatedPlatform.h"
#include "support/Sockets.h"
#include "support/Text.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;

namespace {

using Lines = std::vector<std::string>;

/// One list of the answer to a reload.
Lines listOf(const Response &answer, const std::string &key) {
  REQUIRE(answer.status == 200);
  Lines lines;
  const json::Object::Ptr report = json::parseObject(answer.body);
  const json::Array::Ptr list = json::findArray(*report, key);
  for (const json::Value &item : *list)
    lines.push_back(item.convert<std::string>());
  return lines;
}

struct Told {
  Lines applied, restart, refused;
};

Told reload(const DaemonProcess &daemon) {
  const Response answer = daemon.api("POST", "/reload");
  CAPTURE(answer.body);
  return {listOf(answer, "applied"), listOf(answer, "needsRestart"), listOf(answer, "refused")};
}

/// The value as `config show` has it.
std::string shown(const DaemonProcess &daemon, const std::string &section, const std::string &key) {
  const Finished all = daemon.ctl({"config", "show", "--json"});
  REQUIRE(all.status == 0);
  const json::Object::Ptr values = json::parseObject(all.out);
  return json::getString(*values->getObject(section), key);
}

/// The listeners as `status` has them.
std::string listenersOf(const DaemonProcess &daemon) {
  const json::Object::Ptr status = json::parseObject(daemon.api("GET", "/status").body);
  return json::dump(*json::findArray(*json::findObject(*status, "platform"), "listeners"));
}

std::string change(const std::string &name, const std::string &from, const std::string &to) {
  return name + ": " + from + " → " + to;
}

} // namespace

TEST_CASE("reload: a section that its plugin refuses is refused alone, as a whole, and asked for again") {
  SimulatedPlatform platform;
  DaemonProcess &daemon = platform.daemon;
  LoopbackPort taken;
  taken.listen();
  const std::string before = shown(daemon, "proxy", "listen");
  const std::string wanted = "127.0.0.1:" + std::to_string(taken.port());
  daemon.rewriteConfig({{"proxy.listen", wanted},
                        {"proxy.access_log", "false"},
                        {"lifecycle.idle_timeout", "2h"},
                        {"log.level", "debug"}});
  const std::string refusal = "proxy: cannot listen on " + wanted + ": Address already in use";

  Told told = reload(daemon);
  CHECK(told.applied == Lines{change("[lifecycle] idle_timeout", "30m", "2h"), change("[log] level", "info", "debug")});
  CHECK(told.restart.empty());
  CHECK(told.refused == Lines{refusal});
  CHECK(shown(daemon, "proxy", "listen") == before);
  CHECK(shown(daemon, "proxy", "access_log") == "true");
  CHECK(shown(daemon, "lifecycle", "idle_timeout") == "2h");
  CHECK(daemon.web("localhost", "/health").status == 200);
  CHECK(has(listenersOf(daemon), before));
  CHECK_FALSE(has(listenersOf(daemon), wanted));
  CHECK(has(daemon.ctl({"status"}).out, "not in effect: " + change("[proxy] listen", before, wanted) + " (refused)"));

  told = reload(daemon);
  CHECK(told.applied.empty());
  CHECK(told.refused == Lines{refusal});

  taken.close();
  told = reload(daemon);
  CHECK(told.applied == Lines{change("[proxy] access_log", "true", "false"), change("[proxy] listen", before, wanted)});
  CHECK(told.refused.empty());
  CHECK(shown(daemon, "proxy", "listen") == wanted);
  CHECK_FALSE(has(daemon.ctl({"status"}).out, "not in effect"));
  CHECK(request(taken.port(), "GET", "/health", {{"Host", "localhost"}}).status == 200);
}

TEST_CASE("reload: what takes a restart is named each time, with what to restart, and does not show before") {
  SimulatedPlatform platform;
  DaemonProcess &daemon = platform.daemon;
  const std::string enabled = shown(daemon, "plugins", "enabled");
  const std::string loops = shown(daemon, "proxy", "loops");
  daemon.rewriteConfig(
      {{"platform.domain", "example.org"}, {"plugins.required", "orchestrator"}, {"proxy.loops", "3"}});
  const Lines restart{change("[platform] domain", "matrix-os.com", "example.org") + " (restart matrixosd)",
                      change("[plugins] required", "orchestrator, proxy", "orchestrator") + " (restart matrixosd)",
                      change("[proxy] loops", loops, "3") + " (matrixosctl plugins reload proxy)"};
  for (int i = 0; i < 2; ++i) {
    const Told told = reload(daemon);
    CHECK(told.applied.empty());
    CHECK(told.restart == restart);
  }
  CHECK(shown(daemon, "platform", "domain") == "matrix-os.com");
  CHECK(shown(daemon, "plugins", "required") == "orchestrator, proxy");
  CHECK(shown(daemon, "proxy", "loops") == loops);
  CHECK(has(daemon.ctl({"status"}).out, "domain matrix-os.com"));
  CHECK(has(daemon.ctl({"status"}).out, "not in effect: " + restart[0]));
  CHECK(has(daemon.ctl({"config", "show"}).out, "; not in effect: " + restart[2]));

  REQUIRE(daemon.api("POST", "/plugins/proxy/reload").status == 200);
  CHECK(shown(daemon, "proxy", "loops") == "3");
  CHECK(reload(daemon).restart == Lines{restart[0], restart[1]});

  // Taken back: nothing is left to say.
  daemon.rewriteConfig({{"platform.domain", "matrix-os.com"}, {"plugins.required", "orchestrator, proxy"}});
  const Told told = reload(daemon);
  CHECK(told.applied.empty());
  CHECK(told.restart.empty());
}

TEST_CASE("reload: a data directory that takes a restart is left alone, and the secret stays the one in it") {
  SimulatedPlatform platform;
  DaemonProcess &daemon = platform.daemon;
  const auto other = daemon.dir() / "other";
  daemon.rewriteConfig({{"platform.data_dir", other.string()}});
  const Told told = reload(daemon);
  CHECK(told.applied.empty());
  CHECK(told.restart.size() > 0);
  CHECK_FALSE(std::filesystem::exists(other));
}

TEST_CASE("reload: limits of containers count for new ones, and the answer says so") {
  SimulatedPlatform platform;
  DaemonProcess &daemon = platform.daemon;
  const std::string cpus = shown(daemon, "orchestrator", "cpus");
  daemon.rewriteConfig(
      {{"orchestrator.memory", "512MB"}, {"orchestrator.cpus", "2"}, {"orchestrator.stop_grace", "7s"}});
  const Told told = reload(daemon);
  CHECK(told.applied == Lines{change("[orchestrator] cpus", cpus, "2") + " (new containers only)",
                              change("[orchestrator] memory", "256MB", "512MB") + " (new containers only)",
                              change("[orchestrator] stop_grace", "10s", "7s")});
  CHECK(has(daemon.ctl({"plugins", "info", "orchestrator"}).out, "memory"));
}

TEST_CASE("reload: what waits for a restart of a plugin counts once it is disabled and enabled") {
  SimulatedPlatform platform(DaemonProcess::Values{{"plugins.required", ""}});
  DaemonProcess &daemon = platform.daemon;
  daemon.rewriteConfig({{"proxy.loops", "3"}});
  CHECK(reload(daemon).restart.size() == 1);
  REQUIRE(daemon.api("POST", "/plugins/proxy/disable").status == 200);
  REQUIRE(daemon.api("POST", "/plugins/proxy/enable").status == 200);
  CHECK(shown(daemon, "proxy", "loops") == "3");
  CHECK(reload(daemon).restart.empty());
}

TEST_CASE("reload: plugins that cannot be taken out or brought in are refused alone, and the list is what runs") {
  SimulatedPlatform platform(
      DaemonProcess::Values{{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, proxy"}});
  DaemonProcess &daemon = platform.daemon;
  const std::string before = shown(daemon, "plugins", "enabled");
  daemon.rewriteConfig({{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, proxy2"}});
  Told told = reload(daemon);
  CHECK(told.refused.size() == 2);
  CHECK(has(told.refused[0], "proxy: the plugin proxy is required"));
  CHECK(has(told.refused[1], "proxy2: there is no plugin \"proxy2\""));
  CHECK(told.applied.empty());
  CHECK(shown(daemon, "plugins", "enabled") == before);
  CHECK(daemon.web("localhost", "/health").status == 200);

  daemon.rewriteConfig({{"plugins.enabled", before + ", social"}});
  told = reload(daemon);
  CHECK(told.refused.empty());
  CHECK(told.applied == Lines{change("[plugins] enabled", before, before + ", social")});
}
