// As many connections as a machine full of tenants has, most of them idle.
#include "EchoInstance.h"
#include "EdgePlatform.h"
#include "Regulars.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace matrixos::test;

namespace {

#ifdef MATRIXOS_INSTRUMENTED
constexpr std::size_t kKept = 500;
constexpr std::size_t kWebSockets = 200;
#else
constexpr std::size_t kKept = 5000;
constexpr std::size_t kWebSockets = 2000;
#endif
/// Requests in flight: beside its WebSockets an instance has no more places than a few thousand while others may come
/// (plugins/proxy, ProxySession::shareOf), and on a slow machine all that are sent are in flight.
constexpr std::size_t kAtOnce = 2500;

} // namespace

TEST_CASE("5,000 kept connections and 2,000 WebSockets stay open, and answer when they are used again") {
  REQUIRE(raiseDescriptorLimit(16'000));
  EchoInstance instance;
  EdgePlatform platform({{"fixed-instances.running", "alice:" + std::to_string(instance.port())},
                         {"proxy.instance_requests", "5000"},
                         {"proxy.instance_websockets", "2000"},
                         {"proxy.peer_share", "100"}, // one address is all of them here
                         {"proxy.keep_alive", "1h"},
                         {"proxy.access_log", "false"}});
  DaemonProcess &daemon = platform.daemon;
  const std::size_t resident = residentKb(daemon);
  Crowd crowd(daemon.proxyPort());
  std::vector<CrowdClient *> kept, webSockets;
  std::size_t done = 0;
  const auto takeAnswers = [&](std::vector<CrowdClient *> &clients, int status) {
    for (CrowdClient *one : clients) {
      const auto answer = one->takeResponse();
      if (!answer) continue;
      CHECK(answer->status == status);
      ++done;
    }
    return done == clients.size();
  };
  for (std::size_t i = 0; i < kWebSockets; ++i)
    webSockets.push_back(&crowd.add(upgradeRequest("alice", std::to_string(i))));
  REQUIRE(crowd.until([&] { return takeAnswers(webSockets, 101); }));
  const double grown = static_cast<double>(residentKb(daemon) - resident);
  MESSAGE("a WebSocket: " << grown / static_cast<double>(kWebSockets) << " KB");
  done = 0;
  while (kept.size() < kKept) {
    for (std::size_t i = 0; i < kAtOnce && kept.size() < kKept; ++i)
      kept.push_back(&crowd.add(getRequest("alice", std::to_string(kept.size()))));
    REQUIRE(crowd.until([&] { return takeAnswers(kept, 200); }));
  }
  CHECK(crowd.until([&] { return metric(daemon, "matrixos_proxy_connections") == kKept + kWebSockets; }));

  Regulars regulars(crowd, "alice", 20);
  CHECK(regulars.areServed(50));

  // Each is used again.
  for (std::size_t i = 0; i < kWebSockets; ++i)
    crowd.send(*webSockets[i], textFrame("frame " + std::to_string(i)));
  std::vector<bool> answered, echoed(kWebSockets);
  const auto all = [](const std::vector<bool> &set) { return std::find(set.begin(), set.end(), false) == set.end(); };
  while (answered.size() < kKept) {
    const std::size_t from = answered.size();
    answered.resize(std::min(from + kAtOnce, kKept));
    for (std::size_t i = from; i < answered.size(); ++i)
      crowd.send(*kept[i], getRequest("alice", "again" + std::to_string(i)));
    CHECK(crowd.until([&] {
      for (std::size_t i = from; i < answered.size(); ++i) {
        const auto answer = kept[i]->takeResponse();
        if (answer) answered[i] = answer->body == "again" + std::to_string(i) + " for alice.localhost";
      }
      return all(answered);
    }));
  }
  CHECK(crowd.until([&] {
    for (std::size_t i = 0; i < kWebSockets; ++i) {
      const auto frame = webSockets[i]->takeFrame();
      if (frame) echoed[i] = *frame == "frame " + std::to_string(i);
    }
    return all(echoed);
  }));
  CHECK(crowd.count([](const CrowdClient &client) { return client.ended(); }) == 0);
}
