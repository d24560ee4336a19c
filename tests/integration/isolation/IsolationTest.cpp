// The real daemon with a runtime plugin that is isolated (isolation=process) and misbehaves.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

using namespace matrixos::test;

namespace {

DaemonProcess::Values values(const std::string &enabled, DaemonProcess::Values more = {}) {
  more["plugins.path"] = (buildDir() / "test-plugins").string();
  more["plugins.enabled"] = enabled;
  return more;
}

DaemonProcess::Values isolatedRuntime() {
  return values("fake-isolated, fake-caller, fake-good", {{"fake-isolated.isolation", "process"}});
}

Response inspect(const DaemonProcess &daemon, const std::string &ref) {
  return daemon.api("GET", "/caller/inspect?ref=" + ref);
}

pid_t pluginPid(const DaemonProcess &daemon) {
  return static_cast<pid_t>(std::stol(member(inspect(daemon, "x").body, "pid")));
}

/// A process that has ended counts as gone also while nobody has waited for it.
bool isAlive(pid_t pid) {
  const std::string stat = readFile("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name = stat.rfind(')');
  return name != std::string::npos && stat.compare(name, 3, ") Z") != 0;
}

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a crash in a call: the daemon serves on, the call succeeds, the operator is told by name and reason") {
  DaemonProcess daemon(isolatedRuntime());
  daemon.start();
  const pid_t before = pluginPid(daemon);
  CHECK(before != daemon.process().pid());

  std::atomic<bool> done{false};
  std::atomic<int> good{0}, bad{0};
  std::thread visitor([&] {
    while (!done)
      ++(daemon.api("GET", "/fake-good").status == 200 ? good : bad);
  });
  const Response repeated = inspect(daemon, "crash-once:" + (daemon.dir() / "crashed").string());
  const Response started =
      daemon.api("GET", "/caller/start?op=op-1&ref=crash-once:" + (daemon.dir() / "again").string());
  const Response refused = daemon.api("GET", "/caller/start?ref=crash");
  CHECK(eventually([&, now = good.load()] { return good > now + 10; }));
  done = true;
  visitor.join();

  CAPTURE(repeated.body);
  CHECK(repeated.status == 200);
  CHECK(started.status == 200);
  // A start without an operation id is not made twice: its caller is told instead.
  CHECK(refused.status == 503);
  CHECK(contains(refused.body, "the plugin's process died with SIGSEGV in start()"));
  CHECK(bad == 0);
  CHECK(pluginPid(daemon) != before);
  CHECK(daemon.running());
  CHECK(contains(daemon.log(), "fake-isolated    the plugin's process died with SIGSEGV in inspect()"));
  CHECK(contains(daemon.api("GET", "/metrics").body,
                 "matrixos_plugin_process_restarts_total{plugin=\"fake-isolated\"} 3"));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("while its process is away, /ready says why") {
  DaemonProcess daemon(isolatedRuntime());
  daemon.start();
  const auto told = [&] { return contains(daemon.api("GET", "/ready").body, "its process died with SIGKILL"); };
  // Each death doubles the pause, so that one is long enough to be seen.
  CHECK(eventually([&] {
    ::kill(pluginPid(daemon), SIGKILL);
    return eventually(told, std::chrono::milliseconds{500});
  }));
  CHECK(eventually([&] { return contains(daemon.ctl({"status"}).out, "fake-isolated  running"); }));
}

TEST_CASE("kill -9 of the process under load: no request is lost") {
  DaemonProcess daemon(isolatedRuntime());
  daemon.start();
  std::atomic<bool> done{false};
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&, t] {
      for (int i = 0; !done; ++i) {
        const std::string id = std::to_string(t) + "-" + std::to_string(i);
        const Response answer =
            i % 2 == 0 ? inspect(daemon, "slow:2") : daemon.api("GET", "/caller/start?ref=slow:2&op=" + id);
        CAPTURE(answer.body);
        CHECK(answer.status == 200);
        ++good;
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    const int before = good;
    ::kill(pluginPid(daemon), SIGKILL);
    CHECK(eventually([&] { return good > before + 20; }));
  }
  done = true;
  for (auto &client : clients)
    client.join();
}

TEST_CASE("kill -9 of the daemon takes the process along, and so does a stop") {
  DaemonProcess daemon(isolatedRuntime());
  daemon.start();
  const pid_t first = pluginPid(daemon);
  REQUIRE(isAlive(first));
  daemon.kill();
  CHECK(eventually([&] { return !isAlive(first); }));
  daemon.start();
  const pid_t second = pluginPid(daemon);
  CHECK(daemon.stop() == 0);
  CHECK_FALSE(isAlive(second));
}

TEST_CASE("disabled, enabled and reloaded, each time in a new process") {
  DaemonProcess daemon(isolatedRuntime());
  daemon.start();
  const pid_t first = pluginPid(daemon);
  CHECK(daemon.ctl({"plugins", "disable", "fake-isolated"}).status == 0);
  CHECK_FALSE(isAlive(first));
  CHECK(inspect(daemon, "x").status == 503);
  CHECK(daemon.ctl({"plugins", "enable", "fake-isolated"}).status == 0);
  const pid_t second = pluginPid(daemon);
  CHECK(second != first);
  const Finished reloaded = daemon.ctl({"plugins", "reload", "fake-isolated"});
  CAPTURE(reloaded.out);
  CHECK(reloaded.status == 0);
  CHECK(pluginPid(daemon) != second);

  // Back into the daemon, and out again, by a reload.
  daemon.rewriteConfig({{"fake-isolated.isolation", "none"}});
  CHECK(daemon.ctl({"plugins", "reload", "fake-isolated"}).status == 0);
  CHECK(pluginPid(daemon) == daemon.process().pid());
  daemon.rewriteConfig({{"fake-isolated.isolation", "process"}});
  CHECK(daemon.ctl({"plugins", "reload", "fake-isolated"}).status == 0);
  CHECK(pluginPid(daemon) != daemon.process().pid());
}

TEST_CASE("nothing of an isolated plugin runs in the daemon, and a bad one is told by name") {
  SUBCASE("constructors that crash") {
    DaemonProcess daemon(values("fake-crash-on-load, fake-good", {{"fake-crash-on-load.isolation", "process"}}));
    daemon.start();
    CHECK(daemon.api("GET", "/fake-good").status == 200);
    CHECK(contains(daemon.api("GET", "/ready").body, "the process that looked at it died with SIG"));
  }
  SUBCASE("constructors that hang") {
    DaemonProcess daemon(values("fake-hang-on-load, fake-good",
                                {{"fake-hang-on-load.isolation", "process"}, {"plugins.start_timeout", "2s"}}));
    daemon.start();
    CHECK(daemon.api("GET", "/fake-good").status == 200);
    CHECK(contains(daemon.api("GET", "/ready").body, "did not say what it is within"));
  }
  SUBCASE("a plugin that is no runtime") {
    DaemonProcess daemon(values("fake-good", {{"fake-good.isolation", "process"}}));
    daemon.start();
    CHECK(contains(daemon.api("GET", "/ready").body,
                   "[fake-good] isolation=process is not possible: it provides no service; take the key out"));
  }
  SUBCASE("a word that is neither") {
    DaemonProcess daemon(values("fake-isolated", {{"fake-isolated.isolation", "proces"}}));
    daemon.launch();
    CHECK(daemon.process().wait(std::chrono::seconds{60}) == 78);
    CHECK(contains(daemon.log(), "proces"));
  }
}

TEST_CASE("an isolated plugin keeps values in the daemon's database, through its own deaths") {
  DaemonProcess daemon(isolatedRuntime());
  daemon.start();
  // More than one answer holds: the list comes in pages.
  const auto name = [](int i) { return std::to_string(100 + i); };
  for (int i = 0; i < 40; ++i) {
    const Response kept = inspect(daemon, "kv:" + name(i));
    CAPTURE(kept.body);
    REQUIRE(kept.status == 200);
    CHECK(member(kept.body, "keys") == std::to_string(i + 1));
    CHECK(member(kept.body, "last") == "kept/" + name(i));
    CHECK(member(kept.body, "same") == "true");
    CHECK(member(kept.body, "gone") == "true");
  }
  ::kill(pluginPid(daemon), SIGKILL);
  CHECK(member(inspect(daemon, "kv:" + name(40)).body, "keys") == "41");
  const Response again = inspect(daemon, "kv:" + name(40));
  CHECK(again.status != 200);
  CHECK(contains(again.body, "the key is there already"));
  CHECK(daemon.stop() == 0);
  daemon.start();
  CHECK(member(inspect(daemon, "kv:" + name(41)).body, "keys") == "42");
}
