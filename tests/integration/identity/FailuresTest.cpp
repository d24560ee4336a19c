// Who decides who comes in is away, dies, hangs or talks nonsense: nobody comes in, everybody is told soon and in a way
// that he understands, nothing is woken for it, the operator reads who it is, and afterwards all is as before.
#include "Browser.h"
#include "Platform.h"
#include "support/Sanitizers.h"
#include "support/Text.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

using namespace matrixos::test;

namespace {

/// Beside it a guest's policy, which may ask a plugin that runs in a process of its own.
class Gated : public IdentityPlatform {
public:
  explicit Gated(DaemonProcess::Values values = {},
                 const std::string &enabled = "fake-gate, fake-isolated, fake-caller")
      : IdentityPlatform(
            [&] {
              values.merge(DaemonProcess::Values{{"plugins.enabled", "fixed-instances, lifecycle, proxy, " + enabled},
                                                 {"plugins.required", "proxy"},
                                                 {"fake-isolated.isolation", "process"}});
              return values;
            }(),
            {"fake-gate", "fake-isolated", "fake-caller"}) {
    daemon.start();
  }

  int status(const std::string &word) const {
    return request(daemon.proxyPort(), "GET", "/data", {{"Host", "alice.localhost"}, {"X-Gate", word}}).status;
  }
  pid_t isolatedPid() const {
    return static_cast<pid_t>(std::stol(member(daemon.api("GET", "/caller/inspect?ref=x").body, "pid")));
  }
};

/// Asks for a page, for data and for a WebSocket: 503 that says why and when to come again.
void checkRefused(const IdentityPlatform &platform, const std::string &label, const Headers &more = {}) {
  CAPTURE(label);
  const auto ask = [&](const std::string &target, Headers headers) {
    headers.emplace_back("Host", label + ".localhost");
    headers.insert(headers.end(), more.begin(), more.end());
    Response answer = request(platform.daemon.proxyPort(), "GET", target, headers);
    CAPTURE(answer.body);
    CHECK(answer.status == 503);
    CHECK(has(answer.body, "ho may do this cannot be found out right now"));
    CHECK(answer.headers.count("retry-after") == 1);
    CHECK(answer.headers["cache-control"] == "no-store");
    return answer;
  };
  Response page =
      ask("/about", {{"Accept", "text/html"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}});
  CHECK(page.headers["content-type"].find("text/html") == 0);
  CHECK(has(page.body, "Try again</a>"));
  Response data = ask("/data", {{"Sec-Fetch-Mode", "cors"}});
  CHECK(data.headers["content-type"] == "application/problem+json");
  CHECK(has(data.body, R"("reason":"POLICY_UNAVAILABLE")"));
  std::string upgrade = "GET /ws HTTP/1.1\r\nHost: " + label +
                        ".localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  for (const auto &[name, value] : more)
    upgrade += name + ": " + value + "\r\n";
  RawConnection socket(platform.daemon.proxyPort());
  socket.send(upgrade + "\r\n");
  CHECK(socket.receiveResponse().status == 503);
}

bool wokeNobody(const IdentityPlatform &platform) {
  return !has(platform.daemon.log(), " start handle=sleepy\n");
}

/// An instance that runs, one that sleeps, and one that there is not.
constexpr const char *kLabels[] = {"alice", "sleepy", "nobody"};

void checkClosed(const IdentityPlatform &platform, const Headers &more = {}) {
  const std::size_t before = platform.instance.requests().size();
  for (const char *label : kLabels)
    checkRefused(platform, label, more);
  CHECK(platform.instance.requests().size() == before);
  CHECK(wokeNobody(platform));
}

/// Operators read what is wrong, by name; strangers do not. The daemon itself serves.
void checkTold(const DaemonProcess &daemon, const std::string &plugin, const std::string &what) {
  CAPTURE(what);
  CHECK(daemon.api("GET", "/health").status == 200);
  CHECK(eventually([&] { return has(daemon.api("GET", "/ready").body, what); }));
  CHECK(has(daemon.api("GET", "/ready").body, "\"" + plugin + "\""));
  const Response stranger = request(daemon.apiSocket(), "GET", "/ready");
  CHECK_FALSE(has(stranger.body, plugin));
  CHECK(has(stranger.body, "status"));
}

void replace(const IdentityPlatform &platform, const std::string &file, const std::string &content) {
  const auto path = platform.daemon.dir() / "plugins" / file;
  std::filesystem::remove(path);
  if (!content.empty()) writeFile(path, content);
}

} // namespace

TEST_CASE("identity is disabled: its own pages too are closed, and afterwards who was signed in is") {
  IdentityPlatform platform(DaemonProcess::Values{{"plugins.required", "proxy"}});
  platform.daemon.start();
  Browser ada(platform.daemon.proxyPort());
  REQUIRE(ada.signInAs("ada", ada.url("alice", "/")).body == "an instance");
  REQUIRE(platform.daemon.ctl({"plugins", "disable", "identity"}).status == 0);
  checkClosed(platform);
  checkTold(platform.daemon, "identity", "disabled");
  checkTold(platform.daemon, "proxy", "identity gives no verdict");
  CHECK(ada.open(ada.url("alice", "/")).status == 503);
  CHECK(ada.open(ada.url("alice", "/.matrixos/auth?code=x")).status == 503);
  CHECK(ada.fetch("GET", "console", "/auth/me", "").status != 200);

  REQUIRE(platform.daemon.ctl({"plugins", "enable", "identity"}).status == 0);
  CHECK(ada.open(ada.url("alice", "/")).body == "an instance");
  CHECK(eventually([&] { return !has(platform.daemon.api("GET", "/ready").body, "gives no verdict"); }));
}

TEST_CASE("identity cannot be loaded: nobody comes in") {
  for (const char *content : {"no plugin", ""}) {
    CAPTURE(std::string(content));
    IdentityPlatform platform(DaemonProcess::Values{{"plugins.required", "proxy"}}); // it never ran
    replace(platform, "identity.so", content);
    platform.daemon.start();
    checkClosed(platform);
    checkTold(platform.daemon, "identity", "failed");
  }
}

TEST_CASE("a guest's policy whose file has gone, or that does not start, still stands in the way") {
  Gated platform;
  REQUIRE(platform.status("yes") == 200);
  CHECK(platform.daemon.stop() == 0);
  replace(platform, "fake-gate.so", "");
  platform.daemon.start();
  checkClosed(platform);
  checkTold(platform.daemon, "fake-gate", "failed");
  CHECK(platform.daemon.stop() == 0);
  std::filesystem::copy_file(buildDir() / "test-plugins/fake-gate.so", platform.daemon.dir() / "plugins/fake-gate.so");
  platform.daemon.rewriteConfig({{"fake-gate.broken", "true"}});
  platform.daemon.start();
  checkClosed(platform);
  checkTold(platform.daemon, "fake-gate", "the gate is broken");
  CHECK(platform.daemon.stop() == 0);
  // Whoever takes it out of the configuration wants it so.
  platform.daemon.rewriteConfig({{"plugins.enabled", "fixed-instances, lifecycle, proxy"}});
  platform.daemon.start();
  CHECK(platform.status("yes") == 200);
}

TEST_CASE("a policy cannot run in a process of its own, which opens nothing") {
  Gated platform(DaemonProcess::Values{{"fake-gate.isolation", "process"}});
  checkClosed(platform);
  checkTold(platform.daemon, "fake-gate", "isolation=process is not possible");
}

TEST_CASE("a policy that brought the daemon down twice is quarantined, which opens nothing" SKIP_IN_SANITIZERS) {
  Gated platform;
  for (int round = 0; round < 2; ++round) {
    CHECK(platform.status("yes") == 200);
    try {
      platform.status("die");
    } catch (const std::exception &) { // the connection went with the daemon
    }
    REQUIRE(platform.daemon.process().wait(std::chrono::seconds{60}).has_value());
    platform.daemon.start();
  }
  checkClosed(platform);
  checkTold(platform.daemon, "fake-gate", "quarantine");
  REQUIRE(platform.daemon.ctl({"plugins", "enable", "fake-gate"}).status == 0);
  CHECK(platform.status("yes") == 200);
}

TEST_CASE("a policy asks a plugin in a process of its own, which is killed, dies and hangs") {
  Gated platform;
  REQUIRE(platform.status("ask") == 200);
  const pid_t first = platform.isolatedPid();
  REQUIRE(::kill(first, SIGKILL) == 0);
  CHECK(platform.status("ask") == 200); // asked again in the next process
  CHECK(platform.isolatedPid() != first);
  CHECK(platform.status("crash") == 503);
  CHECK(eventually([&] { return platform.status("ask") == 200; }));

  const pid_t stopped = platform.isolatedPid();
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  std::vector<std::thread> refused;
  for (const char *label : kLabels)
    refused.emplace_back([&platform, label] { checkRefused(platform, label, {{"X-Gate", "soon"}}); });
  // Meanwhile all others are served.
  CHECK(platform.status("yes") == 200);
  CHECK(platform.daemon.web("localhost", "/health").status == 200);
  for (std::thread &one : refused)
    one.join();
  CHECK(wokeNobody(platform));
  checkTold(platform.daemon, "proxy", "fake-gate gives no verdict");
  ::kill(stopped, SIGCONT); // unless it was replaced meanwhile
  CHECK(eventually([&] { return platform.status("ask") == 200; }));
  CHECK(eventually([&] { return !has(platform.daemon.api("GET", "/ready").body, "gives no verdict"); }));
}

TEST_CASE("a policy that never answers, and one that nobody understands, deny") {
  Gated platform({}, "fake-gate");
  std::vector<std::thread> waiting;
  for (int i = 0; i < 8; ++i)
    waiting.emplace_back([&] { CHECK(platform.status("never") == 503); });
  CHECK(platform.status("yes") == 200);
  checkClosed(platform, {{"X-Gate", "nonsense"}});
  for (std::thread &one : waiting)
    one.join();
  checkTold(platform.daemon, "proxy", "fake-gate gives no verdict");
  CHECK(platform.status("yes") == 200);
  CHECK(platform.daemon.stop() == 0);
}

TEST_CASE("a policy that holds up the thread it is asked on is named, and the other loops go on") {
  Gated platform(DaemonProcess::Values{{"proxy.loops", "3"}}, "fake-gate");
  RawConnection waits(platform.daemon.proxyPort()), other(platform.daemon.proxyPort()),
      third(platform.daemon.proxyPort());
  const auto ask = [](RawConnection &connection, const std::string &word) {
    connection.send("GET /data HTTP/1.1\r\nHost: alice.localhost\r\nX-Gate: " + word + "\r\n\r\n");
  };
  // One connection for each loop; which of them the first one has is not known.
  for (RawConnection *connection : {&waits, &other, &third}) {
    ask(*connection, "yes");
    REQUIRE(connection->receiveResponse().status == 200);
  }
  ask(waits, "block");
  checkTold(platform.daemon, "fake-gate", "its check() blocks, and must not");
  for (RawConnection *connection : {&other, &third}) {
    ask(*connection, "yes");
    CHECK(connection->receiveResponse().status == 200);
  }
  CHECK(platform.daemon.ctl({"plugins", "list"}).status == 0);
  platform.daemon.kill();
}

TEST_CASE("who asks the API is not found out: 503 that says so, and the admin socket serves") {
  Gated platform;
  const DaemonProcess &daemon = platform.daemon;
  const auto ask = [&](const std::string &word) {
    return request(daemon.apiSocket(), "GET", "/plugins", {{"Authorization", "Bearer gate-" + word}});
  };
  const auto refused = [&](const std::string &word, const std::string &reason) {
    CAPTURE(word);
    const Response answer = ask(word);
    CAPTURE(answer.body);
    CHECK(answer.status == 503);
    CHECK(answer.headers.count("retry-after") == 1);
    CHECK(member(answer.body, "reason") == reason);
  };
  CHECK(ask("ask").status == 200);
  std::thread never([&] { refused("never", "IDENTITY_UNAVAILABLE"); });
  CHECK(daemon.api("GET", "/plugins").status == 200);
  CHECK(ask("yes").status == 200);
  refused("nonsense", "IDENTITY_UNAVAILABLE");
  refused("crash", "IDENTITY_UNAVAILABLE");
  CHECK(eventually([&] { return ask("ask").status == 200; }));
  const pid_t stopped = platform.isolatedPid();
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  refused("soon", "IDENTITY_UNAVAILABLE");
  CHECK(daemon.api("GET", "/plugins").status == 200);
  ::kill(stopped, SIGCONT);
  never.join();
  CHECK(eventually([&] { return ask("ask").status == 200; }));
  REQUIRE(daemon.ctl({"plugins", "disable", "fake-gate"}).status == 0);
  CHECK(ask("yes").status == 401);
  CHECK(daemon.api("GET", "/plugins").status == 200);
  REQUIRE(daemon.ctl({"plugins", "enable", "fake-gate"}).status == 0);
  CHECK(ask("yes").status == 200);
}

TEST_CASE("who asks is not found out because a provider does not return: it is named, and all others are served") {
  Gated platform({}, "fake-gate");
  DaemonProcess &daemon = platform.daemon;
  std::string secret = readFile(daemon.dir() / "data/admin.secret");
  secret.erase(secret.find_last_not_of('\n') + 1);
  const auto ask = [&](const std::string &token) {
    return request(daemon.apiSocket(), "GET", "/plugins", {{"Authorization", "Bearer " + token}});
  };
  const auto unavailable = [&] { return has(ask("gate-yes").body, R"("reason":"IDENTITY_UNAVAILABLE")"); };
  // Many at once, of which the first one stands in the way of the others.
  std::vector<std::thread> blocked;
  const auto block = [&](const std::function<void(const Response &)> &check) {
    for (int i = 0; i < 8; ++i)
      blocked.emplace_back([&ask, check] {
        try {
          check(ask("gate-block"));
        } catch (const std::exception &e) {
          check({0, {}, e.what()});
        }
      });
  };
  const auto join = [&] {
    for (std::thread &one : std::exchange(blocked, {}))
      one.join();
  };
  REQUIRE(ask("gate-yes").status == 200);
  block([](const Response &answer) {
    CAPTURE(answer.body);
    CHECK(answer.status == 503);
    CHECK(answer.headers.count("retry-after") == 1);
    CHECK(has(answer.body, R"("reason":"IDENTITY_)"));
  });
  checkTold(daemon, "fake-gate", "its identify() blocks, and must not");
  CHECK(eventually(unavailable));
  CHECK(ask(secret).status == 200);
  CHECK(request(daemon.apiSocket(), "GET", "/health").status == 200);
  CHECK(daemon.ctl({"plugins", "list"}).status == 0);
  CHECK(platform.status("yes") == 200);
  join();
  CHECK(unavailable());
  CHECK(platform.status("release") == 200);
  CHECK(eventually([&] { return ask("gate-yes").status == 200; }));

  // Nor does it hold up its own end, or the daemon's.
  block([](const Response &answer) { CHECK(answer.status != 200); });
  CHECK(eventually(unavailable));
  daemon.ctl({"plugins", "disable", "fake-gate"});
  CHECK(ask("gate-yes").status == 401);
  CHECK(ask(secret).status == 200);
  CHECK(daemon.stop() == 0);
  join();
}
