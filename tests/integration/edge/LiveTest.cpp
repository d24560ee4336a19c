// The edge of the real daemon changes while it is in use: configuration, routes, the plugin itself, and the end.
#include "../../unit/proxy/Streams.h"

#include <doctest/doctest.h>
#include <support/DaemonProcess.h>

#include <csignal>

using namespace kit;
using matrixos::test::buildDir;
using matrixos::test::DaemonProcess;

namespace {

namespace fs = std::filesystem;

std::string at(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

bool listens(std::uint16_t port) {
  try {
    Conn::to(port);
    return true;
  } catch (const std::exception &) {
    return false;
  }
}

/// The daemon with the proxy on two instances, alice and bobby, and a third one, carol, that never starts.
struct Platform {
  explicit Platform(DaemonProcess::Values more = {}) : daemon(values(std::move(more))) {
    const fs::path folder = daemon.dir() / "plugins";
    fs::create_directory(folder);
    for (const char *plugin : {"plugins/proxy.so", "plugins/lifecycle.so", "scenario-plugins/fixed-instances.so"})
      fs::copy_file(buildDir() / plugin, folder / fs::path(plugin).filename());
    daemon.rewriteConfig({{"plugins.path", folder.string()}});
    daemon.start();
    REQUIRE(eventually([&] { return get("alice") == 200; }));
  }
  int get(const std::string &handle) { return Conn::to(daemon.proxyPort()).get("/", handle + ".localhost").status; }
  Conn ask(const std::string &path, const std::string &handle) {
    Conn conn = Conn::to(daemon.proxyPort());
    conn.send("GET " + path + " HTTP/1.1\r\nHost: " + handle + ".localhost\r\n\r\n");
    return conn;
  }
  DaemonProcess::Values values(DaemonProcess::Values more) {
    more.insert({{"plugins.enabled", "fixed-instances, lifecycle, proxy"},
                 {"fixed-instances.start_takes", "1m"},
                 {"fixed-instances.sleeping", "carol:1"},
                 {"proxy.loops", "2"},
                 {"fixed-instances.running",
                  "alice:" + std::to_string(alice.port()) + ", bobby:" + std::to_string(bobby.port())}});
    return more;
  }
  Upstream alice{serveStreams};
  Upstream bobby{serveStreams};
  Upstream elsewhere{serveStreams};
  DaemonProcess daemon;
};

} // namespace

TEST_CASE(
    "streams survive reloads that add and remove listeners, change limits and refuse, and others' route changes") {
  Platform p;
  DaemonProcess &daemon = p.daemon;
  Streams streams(daemon.proxyPort(), "alice.localhost");
  const std::uint16_t first = daemon.proxyPort();
  const std::uint16_t second = matrixos::test::freePort();
  const auto reload = [&](const DaemonProcess::Values &changes) {
    daemon.rewriteConfig(changes);
    return daemon.ctl({"reload"});
  };
  auto done = reload({{"proxy.listen", at(first) + ", " + at(second)}, {"proxy.max_uri", "256"}});
  REQUIRE_MESSAGE(done.status == 0, done.out);
  CHECK(Conn::to(second).get("/", "alice.localhost").status == 200);
  CHECK(Conn::to(first).get("/" + std::string(300, 'x'), "alice.localhost").status == 414);
  streams.goOn();

  // A value that is out of range: nothing of the file is taken.
  done = reload({{"proxy.listen", at(second)}, {"proxy.max_uri", "5"}});
  CHECK(done.status != 0);
  CHECK(done.out.find("max_uri") != std::string::npos);
  CHECK(p.get("alice") == 200);
  // An address that somebody has: nothing of the section is taken.
  done = reload({{"proxy.listen", at(second) + ", " + at(p.bobby.port())}, {"proxy.max_uri", "8KB"}});
  CHECK(done.status != 0);
  CHECK(done.out.find("cannot listen on " + at(p.bobby.port())) != std::string::npos);
  CHECK(Conn::to(first).get("/" + std::string(300, 'x'), "alice.localhost").status == 414);
  streams.goOn();

  // Once it is free, the next reload takes what the last one could not.
  {
    std::uint16_t third = 0;
    {
      Upstream taken(Upstream::echo);
      third = taken.port();
      CHECK(reload({{"proxy.listen", at(first) + ", " + at(third)}}).status != 0);
    }
    done = daemon.ctl({"reload"});
    CHECK_MESSAGE(done.status == 0, done.out);
    CHECK(Conn::to(third).get("/", "alice.localhost").status == 200);
  }
  streams.goOn();

  // Another instance moves; its streams are told, hers do not notice.
  done = reload({{"proxy.listen", at(first) + ", " + at(second)}, {"proxy.drain_timeout", "100ms"}});
  REQUIRE_MESSAGE(done.status == 0, done.out);
  Conn events = p.ask("/events", "bobby");
  CHECK(events.readHead().substr(0, 12) == "HTTP/1.1 200");
  const std::string port = std::to_string(p.elsewhere.port());
  CHECK(daemon.api("PUT", "/fixed-instances/bobby?shell=" + port + "&gateway=" + port).status == 200);
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!events.readExactly(1).empty())
    REQUIRE(std::chrono::steady_clock::now() < end);
  CHECK(p.get("bobby") == 200);
  CHECK(p.elsewhere.accepted() == 1);
  streams.goOn();

  // The listener through which all of it came, by SIGHUP.
  daemon.rewriteConfig({{"proxy.listen", at(second)}});
  daemon.process().signal(SIGHUP);
  CHECK(eventually([&] { return !listens(first); }));
  CHECK(Conn::to(second).get("/" + std::string(300, 'x'), "alice.localhost").status == 200); // 8KB again
  streams.end();
  CHECK(daemon.stop() == 0);
}

namespace {

struct Outcome {
  int whole, torn, refused;
};

/// Six clients ask while the plugin is reloaded three times.
Outcome reloadUnderLoad(Platform &p) {
  std::atomic<bool> stop{false};
  std::atomic<int> whole{0};
  std::atomic<int> torn{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&, i] {
      while (!stop) {
        try {
          Conn conn = Conn::to(p.daemon.proxyPort());
          // Half of them ask again on the same connection until they are told that it is the last time.
          auto last = std::chrono::steady_clock::now();
          for (bool again = true; again && !stop; again = i % 2 == 0) {
            // A drain lets connections go that have been idle for a second: who gets no time for so long asks anew.
            if (std::chrono::steady_clock::now() - last > 500ms) break;
            const auto answer = conn.get(i % 3 == 0 ? "/slow" : "/", "alice.localhost");
            // Nobody had told of an end: a request without an answer, or half a one, is torn.
            if (answer.status == 200 && answer.body == "ok")
              ++whole;
            else
              ++torn;
            if (answer.field("Connection") == "close" || answer.status != 200) break;
            last = std::chrono::steady_clock::now();
          }
        } catch (const std::exception &) {
          ++refused;
          std::this_thread::sleep_for(1ms);
        }
      }
    });
  }
  for (int round = 0; round < 3; ++round) {
    const int before = whole;
    REQUIRE(eventually([&] { return whole > before + 50; }));
    const auto done = p.daemon.ctl({"plugins", "reload", "proxy"});
    CHECK_MESSAGE(done.status == 0, done.out);
  }
  const int before = whole;
  CHECK(eventually([&] { return whole > before + 50; }));
  stop = true;
  for (std::thread &client : clients)
    client.join();
  MESSAGE("whole " << whole.load() << ", torn " << torn.load() << ", refused " << refused.load());
  return {whole, torn, refused};
}

/// A socket that listens and that a child inherits, as a service manager opens it.
int keepListening(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto address = matrixos::Address::parse(at(port));
  REQUIRE(::bind(fd, address.data(), address.size()) == 0);
  REQUIRE(::listen(fd, 1024) == 0);
  return fd;
}

} // namespace

TEST_CASE("a reload of the proxy under load ends every exchange whole") {
  Platform p;
  CHECK(reloadUnderLoad(p).torn == 0);
}

TEST_CASE("with a socket that the service manager keeps no client is refused either") {
  Platform p;
  REQUIRE(p.daemon.stop() == 0);
  const int fd = keepListening(p.daemon.proxyPort());
  p.daemon.launch(
      {"/bin/bash", "-c", "exec 3<&" + std::to_string(fd) + " && LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "-"});
  REQUIRE(p.daemon.waitUntilServing());
  const Outcome outcome = reloadUnderLoad(p);
  CHECK(outcome.torn == 0);
  CHECK(outcome.refused == 0);
  REQUIRE(p.daemon.stop() == 0);
  // Who comes while there is no daemon at all waits for the next one.
  Conn early = p.ask("/", "alice");
  p.daemon.launch(
      {"/bin/bash", "-c", "exec 3<&" + std::to_string(fd) + " && LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "-"});
  CHECK(early.readResponse().status == 200);
  REQUIRE(p.daemon.waitUntilServing());
  ::close(fd);
}

TEST_CASE("a daemon that stops answers those who wait, closes WebSockets and lets answers end") {
  Platform p;
  Conn waiting = p.ask("/", "carol");
  Conn socket = Conn::to(p.daemon.proxyPort());
  socket.send(upgradeOf("alice.localhost"));
  CHECK(socket.readHead().substr(0, 12) == "HTTP/1.1 101");
  REQUIRE(eventually([&] {
    return p.daemon.api("GET", "/metrics").body.find("\nmatrixos_proxy_waiting_requests 1\n") != std::string::npos;
  }));
  p.daemon.process().signal(SIGTERM);
  const auto answer = waiting.readResponse();
  CHECK(answer.status == 503);
  CHECK(answer.field("Retry-After") == "2");
  CHECK(socket.readExactly(4) == std::string("\x88\x02\x03\xE9", 4));
  socket.send(std::string("\x88\x82\0\0\0\0\x03\xE9", 8));
  CHECK(socket.ends());
  CHECK(p.daemon.process().wait(60s) == 0);
}
