// The real daemon with a runtime plugin that is isolated (isolation=process) and misbehaves.
#include "support/DaemonProcess.h"
#include "support/ScriptedServer.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

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
    CHECK(contains(daemon.api("GET", "/ready").body, "[fake-good] isolation=process is not possible: it neither "
                                                     "provides a service nor needs one; take the key out"));
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

TEST_CASE("an isolated plugin uses a service of the daemon, which is replaced under load, goes and comes back") {
  DaemonProcess daemon(values("fake-desk, fake-relay, fake-caller", {{"fake-relay.isolation", "process"}}));
  daemon.start();
  REQUIRE(daemon.api("GET", "/ready").status == 200);
  CHECK(contains(inspect(daemon, "echo:hello").body, R"("text":"hello")"));
  CHECK(contains(inspect(daemon, "ask:soon").body, "soon"));
  CHECK(inspect(daemon, "peek:abc").body == "cba");
  CHECK(member(inspect(daemon, "count:5000,100").body, "items") == "5000");
  CHECK(inspect(daemon, "echo:hang%20in%20100").status == 504);
  CHECK(contains(inspect(daemon, "undeclared").body, "without saying so in its descriptor's needs"));
  CHECK(contains(inspect(daemon, "undescribed").body, "has to describe what it uses"));

  // Under load every answer is that of a provider, or says that there is none right now.
  std::atomic<bool> go{true};
  std::atomic<int> answered{0}, wrong{0};
  std::vector<std::thread> load;
  for (int i = 0; i < 4; ++i) {
    load.emplace_back([&] {
      while (go) {
        const Response answer = inspect(daemon, "echo:load");
        if (answer.status != 200 && answer.status != 503) ++wrong;
        if (answer.status == 200) ++answered;
      }
    });
  }
  for (int round = 0; round < 3; ++round) {
    CHECK(daemon.ctl({"plugins", "reload", "fake-desk"}).status == 0);
    const int before = answered;
    CHECK(eventually([&] { return answered > before + 10; }));
  }
  go = false;
  for (std::thread &thread : load)
    thread.join();
  CHECK(wrong == 0);
  CHECK(eventually([&] { return member(inspect(daemon, "seen").body, "came") == "3"; }));
  CHECK(member(inspect(daemon, "seen").body, "went") == "3");

  CHECK(daemon.ctl({"plugins", "disable", "fake-desk"}).status == 0);
  const Response gone = inspect(daemon, "echo:x");
  CHECK(gone.status == 503);
  CHECK(contains(gone.body, "nothing provides example.desk/1"));
  CHECK(daemon.ctl({"plugins", "enable", "fake-desk"}).status == 0);
  CHECK(inspect(daemon, "echo:x").status == 200);

  // The consumer dies in the middle of a call, and is there again.
  const pid_t before = pluginPid(daemon);
  inspect(daemon, "die:slow:20000");
  CHECK(eventually([&] { return inspect(daemon, "echo:x").status == 200; }));
  CHECK(pluginPid(daemon) != before);
  CHECK(daemon.ctl({"plugins", "reload", "fake-relay"}).status == 0);
  CHECK(inspect(daemon, "echo:x").status == 200);
  CHECK(daemon.ctl({"plugins", "disable", "fake-desk"}).status == 0);
  CHECK(daemon.stop() == 0);
}

TEST_CASE("an isolated plugin uses one that is isolated as well, and dies there") {
  DaemonProcess daemon(values("fake-inner, fake-relay, fake-caller",
                              {{"fake-relay.isolation", "process"}, {"fake-inner.isolation", "process"}}));
  daemon.start();
  REQUIRE(daemon.api("GET", "/ready").status == 200);
  const auto innerPid = [&] { return std::stol(member(inspect(daemon, "inner:x").body, "pid")); };
  const long inner = innerPid(), outer = pluginPid(daemon);
  CHECK(inner != outer);
  CHECK(inner != daemon.process().pid());
  REQUIRE(::kill(static_cast<pid_t>(inner), SIGKILL) == 0);
  CHECK(innerPid() != inner); // asked again in the next process
  CHECK(inspect(daemon, "inner:crash").status == 503);
  REQUIRE(::kill(static_cast<pid_t>(outer), SIGKILL) == 0);
  CHECK(innerPid() > 0);
  CHECK(pluginPid(daemon) != outer);
  CHECK(daemon.stop() == 0);
}

TEST_CASE("an isolated plugin fetches, by the daemon's rules") {
  DaemonProcess daemon(values("fake-relay, fake-caller, fake-good", {{"fake-relay.isolation", "process"}}));
  daemon.start();
  std::mutex mutex;
  std::string asked;
  ScriptedServer server([&](const Peer &peer) {
    const std::string request = peer.readRequest();
    {
      const std::lock_guard lock(mutex);
      asked = request;
    }
    peer.say("HTTP/1.1 200 OK\r\nX-Answer: seen\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'b'));
  });
  server.listen();
  const std::string url = "http://127.0.0.1:" + std::to_string(server.port()) + "/x";
  CHECK(contains(inspect(daemon, "fetch:" + url).body, "NOT_PUBLIC"));
  const std::string answer = inspect(daemon, "fetch!" + url).body;
  CHECK(contains(answer, R"({"status":200,"bytes":200000}seenbbbb)"));
  {
    const std::lock_guard lock(mutex);
    CHECK(contains(asked, "X-Asked: by the relay"));
  }
  CHECK(contains(inspect(daemon, "fetch!nonsense").body, "BAD_URL"));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("an isolated plugin's outbox is delivered through its deaths") {
  DaemonProcess daemon(values("fake-relay, fake-caller", {{"fake-relay.isolation", "process"}}));
  daemon.start();
  const auto sent = [&] { return member(inspect(daemon, "sent").body, "sent"); };
  CHECK(inspect(daemon, "post:one").status == 200);
  CHECK(inspect(daemon, "post:again").status == 200);
  CHECK(inspect(daemon, "post:drop").status == 200);
  CHECK(eventually([&] { return sent() == "2" && inspect(daemon, "list").body == "[]"; }));
  CHECK(member(inspect(daemon, "sent").body, "attempts") == "4");
  CHECK(inspect(daemon, "post:" + std::string(600, 'x')).status == 400); // too long an id
  CHECK(contains(inspect(daemon, "with:table").body, "ISOLATED"));
  for (int round = 0; round < 2; ++round) {
    const pid_t before = pluginPid(daemon);
    CHECK(inspect(daemon, "post:again" + std::to_string(round)).status == 200);
    ::kill(before, SIGKILL);
    CHECK(eventually([&] { return pluginPid(daemon) != before && inspect(daemon, "list").body == "[]"; }));
  }
  CHECK(daemon.ctl({"plugins", "reload", "fake-relay"}).status == 0);
  CHECK(inspect(daemon, "post:last").status == 200);
  CHECK(eventually([&] { return sent() == "1"; }));
  CHECK(daemon.stop() == 0);
}

TEST_CASE("what cannot be used from another process is told before anything starts") {
  DaemonProcess daemon(values("fake-good, fake-wakes, fake-isolated, fake-caller",
                              {{"fake-wakes.isolation", "process"}, {"fake-caller.isolation", "process"}}));
  daemon.start();
  const std::string ready = daemon.api("GET", "/ready").body;
  CAPTURE(ready);
  CHECK(contains(ready, "it provides matrixos.lifecycle/1, and that has functions that must not wait"));
  CHECK(contains(ready, "matrixos.host.http/1"));
  CHECK(daemon.api("GET", "/fake-good").status == 200);
}
