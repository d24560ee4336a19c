// A start that finds a port taken, or something else missing: what waits, what gives up, and what the exit code says.
#include "integration/runtime-simulated/SimulatedPlatform.h"
#include "support/Sockets.h"
#include "support/Text.h"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string>

using namespace matrixos;
using namespace matrixos::test;

namespace {

using Values = DaemonProcess::Values;

Values simulated(Values values) {
  values.merge(Values{{"plugins.enabled", "runtime-simulated, orchestrator, lifecycle, proxy"},
                      {"orchestrator.runtime", "simulated"}});
  return values;
}

int exitCode(DaemonProcess &daemon) {
  return daemon.process().wait(std::chrono::seconds{60}).value_or(-1);
}

/// {state, reason} of a plugin in an answer of /ready or /status.
std::pair<std::string, std::string> standing(const Response &answer, const std::string &id) {
  const json::Object::Ptr root = json::parseObject(answer.body);
  const json::Object::Ptr plugins = json::findObject(*root, "plugins");
  const json::Object::Ptr plugin = json::findObject(*plugins, id);
  return {json::getString(*plugin, "state"), json::findString(*plugin, "reason").value_or("")};
}

} // namespace

TEST_CASE("start: a port that is free a moment later is waited for, and the start is a good one") {
  LoopbackPort taken;
  taken.listen();
  const std::string address = "127.0.0.1:" + std::to_string(taken.port());
  DaemonProcess daemon(simulated({{"proxy.listen", address}, {"plugins.retry_for", "2m"}}));
  daemon.launch();
  REQUIRE(eventually([&] { return has(daemon.log(), "cannot listen on " + address); }));
  CHECK(daemon.running());
  taken.close();
  REQUIRE(daemon.waitUntilServing());
  CHECK(daemon.api("GET", "/ready").status == 200);
  CHECK(request(taken.port(), "GET", "/health", {{"Host", "localhost"}}).status == 200);
  CHECK(daemon.stop() == 0);
}

TEST_CASE("start: a required plugin whose port stays taken ends the daemon with 69") {
  LoopbackPort taken;
  taken.listen();
  const std::string address = "127.0.0.1:" + std::to_string(taken.port());
  DaemonProcess daemon(simulated({{"proxy.listen", address}, {"plugins.retry_for", "1s"}}));
  daemon.launch();
  CHECK(exitCode(daemon) == 69);
  CHECK(has(daemon.log(), "cannot run: a required plugin did not start: proxy: cannot listen on " + address +
                              ": Address already in use"));
  CHECK_FALSE(has(daemon.log(), "serving"));
}

TEST_CASE("start: a daemon that waits for a port ends at once when it is told to") {
  LoopbackPort taken;
  taken.listen();
  DaemonProcess daemon(
      simulated({{"proxy.listen", "127.0.0.1:" + std::to_string(taken.port())}, {"plugins.retry_for", "10m"}}));
  daemon.launch();
  REQUIRE(eventually([&] { return has(daemon.log(), "cannot listen on"); }));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("start: a port of the API is waited for, and ends the daemon with 69 when it stays taken") {
  LoopbackPort taken;
  taken.listen();
  const std::string address = "127.0.0.1:" + std::to_string(taken.port());
  Values values{{"plugins.enabled", ""}, {"api.listen", address}};
  values["plugins.retry_for"] = "1s";
  DaemonProcess fails(values);
  fails.launch();
  CHECK(exitCode(fails) == 69);
  CHECK(has(fails.log(), "cannot run: cannot listen on " + address + ": Address already in use"));
  values["plugins.retry_for"] = "2m";
  DaemonProcess waits(values);
  waits.launch();
  REQUIRE(eventually([&] { return has(waits.log(), "cannot listen on " + address); }));
  taken.close();
  CHECK(waits.waitUntilServing());
}

TEST_CASE("start: an optional plugin whose port is taken is degraded, says so, and is started once it is free") {
  LoopbackPort taken;
  taken.listen();
  const std::string address = "127.0.0.1:" + std::to_string(taken.port());
  DaemonProcess daemon(simulated({{"proxy.listen", address}, {"plugins.required", "orchestrator"}}));
  daemon.start();
  const Response ready = daemon.api("GET", "/ready");
  CHECK(ready.status == 503);
  CHECK(standing(ready, "proxy").first == "degraded");
  CHECK(has(standing(ready, "proxy").second, "cannot listen on " + address + ": Address already in use"));
  CHECK(has(standing(daemon.api("GET", "/status"), "proxy").second, "it does not run, and is tried again"));
  CHECK(has(daemon.log(), "plugin proxy degraded: cannot listen on " + address));
  CHECK(standing(ready, "orchestrator").first == "running");
  taken.close();
  REQUIRE(eventually([&] { return daemon.api("GET", "/ready").status == 200; }, std::chrono::seconds{60}));
  CHECK(standing(daemon.api("GET", "/ready"), "proxy").first == "running");
  CHECK(request(taken.port(), "GET", "/health", {{"Host", "localhost"}}).status == 200);
  CHECK(daemon.stop() == 0);
}

TEST_CASE("start: a reload with another port brings a plugin up that could not start") {
  LoopbackPort taken;
  taken.listen();
  DaemonProcess daemon(
      simulated({{"proxy.listen", "127.0.0.1:" + std::to_string(taken.port())}, {"plugins.required", ""}}));
  daemon.start();
  CHECK(daemon.api("GET", "/ready").status == 503);
  daemon.rewriteConfig({{"proxy.listen", "127.0.0.1:" + std::to_string(daemon.proxyPort())}});
  const Response reload = daemon.api("POST", "/reload");
  CHECK(has(reload.body, "[proxy] listen"));
  CHECK(daemon.api("GET", "/ready").status == 200);
  CHECK(daemon.web("localhost", "/health").status == 200);
}

TEST_CASE("start: a plugin that is disabled while it is tried again stays down") {
  LoopbackPort taken;
  taken.listen();
  DaemonProcess daemon(
      simulated({{"proxy.listen", "127.0.0.1:" + std::to_string(taken.port())}, {"plugins.required", ""}}));
  daemon.start();
  REQUIRE(daemon.api("POST", "/plugins/proxy/disable").status == 200);
  CHECK(standing(daemon.api("GET", "/ready"), "proxy").first == "disabled");
  CHECK(daemon.api("GET", "/ready").status == 200);
}

TEST_CASE("start: the exit code names the cause that a required plugin had") {
  TempDir dir;
  writeFile(dir / "file", "no socket");
  struct Cause {
    std::string name;
    Values values;
    int code;
    std::string says;
  };
  for (const Cause &cause : std::vector<Cause>{
           {"something else than a socket", {{"proxy.listen", "unix:" + (dir / "file").string()}}, 78, "is no socket"},
           {"an address that is not ours",
            {{"proxy.listen", "192.0.2.1:9"}, {"api.auth", "secret"}},
            69,
            "Cannot assign requested address"},
           {"a folder that is not there",
            {{"proxy.listen", "unix:" + (dir / "none/x.sock").string()}},
            69,
            "No such file"},
           {"what it needs is missing",
            {{"plugins.enabled", "orchestrator, proxy"}},
            78,
            "orchestrator: it needs matrixos.runtime/1"},
           {"a plugin that is not there",
            {{"plugins.required", "proxi"}, {"plugins.enabled", "proxi"}},
            78,
            "there is no plugin"}}) {
    CAPTURE(cause.name);
    Values values = cause.values;
    values["plugins.retry_for"] = "0ms";
    DaemonProcess daemon(simulated(std::move(values)));
    daemon.launch();
    CHECK(exitCode(daemon) == cause.code);
    CHECK_MESSAGE(has(daemon.log(), cause.says), daemon.log());
  }
}

TEST_CASE("start: a port that the daemon's user may not have is 77") {
  if (::geteuid() != 0) return; // only root can become somebody who may not
  DaemonProcess daemon(simulated({{"proxy.listen", "127.0.0.1:81"}}));
  daemon.launch({"setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"});
  CHECK(exitCode(daemon) == 77);
  CHECK(has(daemon.log(), "cannot listen on 127.0.0.1:81: Permission denied"));
}
