// Plugins of every kind, built by somebody else from the installed SDK, in the real daemon.
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>
#include <vector>

using namespace matrixos::test;
namespace fs = std::filesystem;
namespace json = matrixos::json;

namespace {

/// The daemon with plugins of this build and those of guests side by side.
class Guests {
public:
  Guests(const std::string &enabled, DaemonProcess::Values values)
      : daemon(with(plugins_, enabled, std::move(values))) {
    for (const fs::path &folder : {buildDir() / "plugins", fs::path(GUESTS) / "1"}) {
      for (const auto &entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".so") put(entry.path());
    }
    daemon.start();
    REQUIRE(status("/ready") == 200);
  }

  void put(const fs::path &file) const {
    const fs::path to = plugins_ / file.filename();
    fs::copy_file(file, to.string() + ".new", fs::copy_options::overwrite_existing);
    fs::permissions(to.string() + ".new", fs::perms::owner_all);
    fs::rename(to.string() + ".new", to);
  }
  int status(const std::string &target, const std::string &method = "GET") const {
    return daemon.api(method, target).status;
  }
  std::string said(const std::string &target, const std::string &key) const {
    const Response answer = daemon.api("GET", target);
    return answer.status == 200 ? member(answer.body, key) : std::to_string(answer.status);
  }
  std::int64_t number(const std::string &target, const std::string &key) const {
    return json::getInt(*json::parseObject(daemon.api("GET", target).body), key, -1);
  }

private:
  static DaemonProcess::Values with(const TempDir &plugins, const std::string &enabled, DaemonProcess::Values values) {
    values.insert({{"plugins.path", plugins.path().string()}, {"plugins.enabled", enabled}, {"plugins.required", ""}});
    return values;
  }

  const TempDir plugins_;

public:
  DaemonProcess daemon;
};

/// The whole way to an instance, on the simulated engine.
DaemonProcess::Values platform(std::uint16_t instance, DaemonProcess::Values more = {}) {
  more.insert({{"orchestrator.runtime", "simulated"},
               {"runtime-simulated.clock", "virtual"},
               {"runtime-simulated.backend", "127.0.0.1:" + std::to_string(instance)}});
  return more;
}

struct Instance {
  const std::uint16_t port = freePort();
  const TempDir dir;
  Process process{{DEMO_INSTANCE},
                  dir / "log",
                  {"PORT=" + std::to_string(port), "SHELL_PORT=" + std::to_string(freePort()),
                   "MATRIX_HOME=" + (dir / "home").string(), "HOME=" + (dir / "home").string(), "MATRIX_HANDLE=alice"}};
};

Response provision(const DaemonProcess &daemon, const std::string &handle) {
  return daemon.api("POST", "/containers/provision",
                    R"({"handle":")" + handle + R"(","clerkUserId":"user_)" + handle + R"("})");
}

} // namespace

TEST_CASE("a service of one's own: replaced under load, gone and back, and past its deadline") {
  Guests guests("greeting, visitor", {});
  CHECK(guests.said("/visitor/greet/ada", "greeting") == "hello ada");
  CHECK(eventually([&] { return guests.number("/visitor/seen", "heard") == 1; }));

  // Under load every answer is the old one's, the new one's, or says that there is none right now.
  std::atomic<bool> go{true};
  std::atomic<int> answered{0}, wrong{0};
  std::vector<std::thread> load;
  for (int i = 0; i < 4; ++i) {
    load.emplace_back([&] {
      while (go) {
        const Response answer = guests.daemon.api("GET", "/visitor/greet/eve");
        if (answer.status != 200 && answer.status != 503) ++wrong;
        if (answer.status == 200) ++answered;
      }
    });
  }
  for (int round = 0; round < 6; ++round) {
    guests.put(fs::path(GUESTS) / (round % 2 == 0 ? "2" : "1") / "greeting.so");
    CHECK(guests.status("/plugins/greeting/reload", "POST") == 200);
    const int before = answered;
    CHECK(eventually([&] { return answered > before + 10; }));
  }
  go = false;
  for (std::thread &thread : load)
    thread.join();
  CHECK(wrong == 0);
  CHECK(guests.said("/visitor/greet/ada", "version") == "1.0.0");
  // It listens to the seventh provider as it did to the first.
  const std::int64_t heard = guests.number("/visitor/seen", "heard");
  guests.said("/visitor/greet/ada", "greeting");
  CHECK(eventually([&] { return guests.number("/visitor/seen", "heard") == heard + 1; }));
  CHECK(guests.number("/visitor/seen", "came") == 6);
  CHECK(guests.number("/visitor/seen", "went") == 6);

  CHECK(guests.status("/plugins/greeting/disable", "POST") == 200);
  const Response gone = guests.daemon.api("GET", "/visitor/greet/ada");
  CHECK(gone.status == 503);
  CHECK(gone.body.find("nothing provides example.greeter/1 at the moment") != std::string::npos);
  CHECK(guests.status("/plugins/greeting/enable", "POST") == 200);
  CHECK(guests.said("/visitor/greet/ada", "greeting") == "hello ada");

  const Response late = guests.daemon.api("GET", "/visitor/greet/slow");
  CHECK(late.status == 504);
  CHECK(late.body.find("does not return from greet()") != std::string::npos);
  CHECK(guests.said("/visitor/greet/ada", "greeting") == "hello ada");
  const std::string metrics = guests.daemon.api("GET", "/metrics").body;
  CHECK(metrics.find("matrixos_service_calls_total{function=\"greet\"") != std::string::npos);
  CHECK(guests.daemon.stop() == 0);
}

TEST_CASE("a service whose provider runs in its own process, and dies there") {
  Guests guests("greeting, visitor, abacus", {{"abacus.isolation", "process"}});
  CHECK(guests.number("/visitor/add/2/40", "sum") == 42);
  const std::int64_t pid = guests.number("/visitor/add/1/1", "pid");
  CHECK(pid != guests.daemon.process().pid());
  REQUIRE(::kill(static_cast<pid_t>(pid), SIGKILL) == 0);
  CHECK(guests.number("/visitor/add/20/3", "sum") == 23); // called again in the next process
  CHECK(guests.number("/visitor/add/1/1", "pid") != pid);
  CHECK(guests.status("/visitor/all") == 504);
  CHECK(guests.number("/visitor/add/3/4", "sum") == 7);
  CHECK(guests.daemon.stop() == 0);
}

TEST_CASE("policies in C++ and in C decide who reaches an instance, and one that does not run denies") {
  const Instance instance;
  Guests guests("runtime-simulated, orchestrator, lifecycle, proxy, doorman, no-tea", platform(instance.port));
  REQUIRE(provision(guests.daemon, "alice").status == 201);
  const auto web = [&](const std::string &target, const Headers &headers = {}) {
    return guests.daemon.web("alice.localhost", target, headers);
  };
  const Headers word{{"X-Word", "sesame"}};
  REQUIRE(eventually([&] { return web("/api/health", word).status == 200; }));
  CHECK(web("/api/health").status == 401);
  CHECK(web("/api/health").body.find("say the word") != std::string::npos);
  CHECK(web("/tea", word).status == 418);
  CHECK(web("/tea").status == 401); // the first one decides
  CHECK(web("/api/health", {{"X-Word", "later"}}).status == 200);
  const Response page = web("/", {{"Sec-Fetch-Mode", "navigate"}, {"Accept", "text/html"}});
  CHECK(page.status == 302);
  CHECK(eventually([&] { return guests.daemon.log().find("user:ali") != std::string::npos; }));
  // The API is none of their business.
  CHECK(guests.daemon.web("localhost", "/health").status == 200);
  CHECK(guests.daemon.web("nobody.localhost", "/").status == 401);

  CHECK(guests.status("/plugins/no-tea/disable", "POST") == 200);
  CHECK(web("/api/health", word).status == 503);
  CHECK(eventually([&] { return guests.daemon.log().find("a policy gives no verdict") != std::string::npos; }));
  CHECK(guests.status("/plugins/no-tea/enable", "POST") == 200);
  CHECK(web("/api/health", word).status == 200);

  guests.daemon.rewriteConfig({{"proxy.policies", "no-tea"}});
  CHECK(guests.status("/reload", "POST") == 200);
  CHECK(web("/api/health").status == 200);
  CHECK(web("/tea").status == 418);
  guests.daemon.rewriteConfig({{"proxy.policies", "none"}});
  CHECK(guests.status("/reload", "POST") == 200);
  CHECK(web("/tea").status != 418);
  guests.daemon.rewriteConfig({{"proxy.policies", "nobody"}});
  CHECK(guests.status("/reload", "POST") == 200);
  CHECK(web("/api/health", word).status == 503);
  CHECK(guests.daemon.stop() == 0);
}

TEST_CASE("a provider of identities knows people that the platform does not") {
  Guests guests("badge", {{"api.auth", "secret"}});
  const auto ask = [&](const std::string &target, const std::string &badge) {
    return request(guests.daemon.apiSocket(), "GET", target, {{"Authorization", "Bearer " + badge}});
  };
  CHECK(ask("/badge", "badge-ada").body.find("user:ada") != std::string::npos);
  CHECK(ask("/badge/ada", "badge-ada").status == 200);
  CHECK(ask("/badge/bob", "badge-ada").status == 403);
  CHECK(ask("/badge", "badge-later").body.find("user:later") != std::string::npos);
  const Response stolen = ask("/badge", "badge-stolen");
  CHECK(stolen.status == 401);
  CHECK(stolen.body.find("this badge was stolen") != std::string::npos);
  CHECK(ask("/badge", "nonsense").status == 401);
  CHECK(ask("/plugins", "badge-ada").status == 403);
  CHECK(guests.status("/badge/bob") == 200); // the admin socket
  CHECK(guests.status("/plugins/badge/disable", "POST") == 200);
  CHECK(ask("/plugins", "badge-ada").status == 401);
  CHECK(guests.daemon.stop() == 0);
}

TEST_CASE("who is known sees what is his, and sends in his own name") {
  auto values = platform(freePort());
  values["api.auth"] = "secret";
  Guests guests("runtime-simulated, orchestrator, social, badge", values);
  REQUIRE(provision(guests.daemon, "alice").status == 201);
  REQUIRE(provision(guests.daemon, "bobby").status == 201);
  const auto handles = [&](const std::string &badge) {
    const Response answer =
        request(guests.daemon.apiSocket(), "GET", "/containers", {{"Authorization", "Bearer badge-" + badge}});
    REQUIRE(answer.status == 200);
    const auto list = json::parse(answer.body).extract<json::Array::Ptr>();
    std::string all;
    for (unsigned i = 0; i < list->size(); ++i)
      all += json::getString(*list->getObject(i), "handle") + " ";
    return all;
  };
  CHECK(handles("user_alice") == "alice ");
  CHECK(handles("user_bobby") == "bobby ");
  CHECK(handles("guest") == "alice ");
  CHECK(handles("nobody").empty());
  CHECK(handles("popular").empty()); // others cannot lock anybody out by sharing with him
  const auto send = [&](const std::string &badge, const std::string &from) {
    return request(guests.daemon.apiSocket(), "POST", "/social/send/alice",
                   {{"Authorization", "Bearer badge-" + badge}}, R"({"text":"hi","from":{"handle":")" + from + R"("}})")
        .status;
  };
  CHECK(send("user_bobby", "alice") == 403);
  CHECK(send("guest", "alice") == 403); // to use is not to be
  CHECK(send("user_bobby", "nobody") == 403);
  CHECK(send("user_bobby", "bobby") == 502); // nobody listens there
}

TEST_CASE("a plugin stands in front of the lifecycle") {
  const Instance instance;
  Guests guests("runtime-simulated, orchestrator, lifecycle, proxy, chaperone",
                platform(instance.port, {{"plugins.provide_as", "lifecycle:matrixos.lifecycle/1=base"}}));
  for (const char *handle : {"alice", "bob"}) {
    REQUIRE(provision(guests.daemon, handle).status == 201);
    REQUIRE(guests.status("/containers/" + std::string(handle) + "/stop", "POST") == 200);
  }
  CHECK(guests.daemon.web("alice.localhost", "/api/health").status == 200);
  CHECK(guests.number("/chaperone", "wakes") == 1);
  const Response asleep = guests.daemon.web("bob.localhost", "/api/health");
  CAPTURE(asleep.body);
  CHECK(asleep.status == 503);
  CHECK(asleep.body.find("(CHAPERONE)") != std::string::npos);
  // Without the one in front nobody gets past it.
  CHECK(guests.status("/plugins/chaperone/disable", "POST") == 200);
  REQUIRE(guests.status("/containers/alice/stop", "POST") == 200);
  CHECK(guests.daemon.web("alice.localhost", "/api/health").status == 503);
  CHECK(guests.daemon.check().status == 0);
  CHECK(guests.daemon.stop() == 0);
}

TEST_CASE(
    "a plugin with tables, values by key, an outbox, commands and pages loses nothing when the daemon is killed") {
  const Instance instance;
  Guests guests("runtime-simulated, orchestrator, lifecycle, proxy, postbox",
                platform(instance.port, {{"api.public_routes", "/health, /ready, //postbox/*"}}));
  const auto page = [&](const std::string &path) { return guests.daemon.web("postbox.localhost", path); };
  CHECK(page("/").body.find("<title>Postbox</title>") != std::string::npos);
  CHECK(guests.daemon.ctl({"postbox", "post", "heavy"}).out == "heavy is posted\n");
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; ++i) {
    senders.emplace_back([&, i] {
      for (int n = 0; n < 5; ++n)
        guests.status("/postbox/letter-" + std::to_string(i) + "-" + std::to_string(n), "POST");
    });
  }
  for (std::thread &sender : senders)
    sender.join();
  guests.daemon.kill();
  guests.daemon.start();
  CHECK(page("/count").body == "21");
  // Each letter has arrived, once or more often, but for the one that nobody can carry.
  CHECK(eventually([&] {
    const json::Array::Ptr all =
        json::findArray(*json::parseObject(guests.daemon.api("GET", "/postbox").body), "letters");
    int sent = 0;
    for (unsigned i = 0; i < all->size(); ++i)
      sent += json::getInt(*all->getObject(i), "sent", 0) > 0 ? 1 : 0;
    return all->size() == 21 && sent == 20;
  }));
  const Finished list = guests.daemon.ctl({"postbox", "list", "--quiet"});
  CHECK(list.status == 0);
  CHECK(list.out.find("letter-3-4\n") != std::string::npos);
  CHECK(guests.daemon.ctl({"postbox", "nonsense"}).status == 64);
  CHECK(guests.daemon.api("POST", "/postbox/heavy").status == 409); // still on its way
  CHECK(provision(guests.daemon, "postbox").status == 400);
  CHECK(guests.daemon.stop() == 0);
}
