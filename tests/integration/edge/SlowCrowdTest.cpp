// Thousands of clients that are slow on purpose, and the others who must not notice.
#include "EchoInstance.h"
#include "EdgePlatform.h"
#include "Regulars.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace matrixos::test;

namespace {

constexpr std::size_t kThousand = 1000;
constexpr std::size_t kBlockKb = 32; // of [proxy] buffer

struct Slow {
  Crowd &crowd;
  std::vector<CrowdClient *> headers, bodies, readers;
  std::size_t turn = 0;

  /// A byte each for some of those who send.
  void drip() {
    for (std::size_t i = 0; i < 20; ++i, ++turn) {
      if (!headers.empty()) crowd.send(*headers[turn % headers.size()], "s");
      if (!bodies.empty()) crowd.send(*bodies[turn % bodies.size()], "s");
    }
  }
  /// Each was answered 408 and cut off.
  static bool refused(std::vector<CrowdClient *> &clients) {
    return std::all_of(clients.begin(), clients.end(), [](CrowdClient *one) {
      return one->ended() && one->received().compare(0, 13, "HTTP/1.1 408 ") == 0;
    });
  }
};

} // namespace

TEST_CASE("3,000 slow clients: the others are served, each slow one ends by the rule, and nothing is left") {
  REQUIRE(raiseDescriptorLimit(16'000));
  EchoInstance instance;

  EdgePlatform platform({{"fixed-instances.running",
                          "alice:" + std::to_string(instance.port()) + ", bob:" + std::to_string(instance.port())},
                         {"proxy.instance_requests", "5000"},
                         {"proxy.upstream_idle", "100ms"},
                         {"proxy.header_timeout", "5m"},
                         {"proxy.body_timeout", "1h"}});
  DaemonProcess &daemon = platform.daemon;
  Crowd crowd(daemon.proxyPort());
  Regulars regulars(crowd, "bob", 20);
  REQUIRE(regulars.areServed(50)); // what they need is in place
  const std::size_t descriptorsBefore = descriptors(daemon);
  Slow slow{crowd, {}, {}, {}};
  const auto served = [&] {
    slow.drip();
    regulars.goOn();
    return regulars.eachGot(0);
  };
  std::size_t resident = residentKb(daemon);
  const auto hold = [&](const std::string &what, std::size_t upstreams) {
    CAPTURE(what);
    const double connections = static_cast<double>(slow.headers.size() + slow.bodies.size() + slow.readers.size());
    REQUIRE(crowd.until([&] {
      return served() && instance.connections() >= upstreams &&
             metric(daemon, "matrixos_proxy_connections") >= connections;
    }));
    CHECK(regulars.areServed(20));
    const std::size_t now = residentKb(daemon);
    const double grown = static_cast<double>(now) - static_cast<double>(resident);
    MESSAGE(what << ": " << grown / static_cast<double>(kThousand) << " KB each");
    // A stream holds two blocks at most; the rest is for the connections themselves.
#ifndef MATRIXOS_INSTRUMENTED // a sanitizer has its own of each
    CHECK(now <= resident + kThousand * 2 * kBlockKb + kThousand * 16);
#endif
    resident = now;
  };

  for (std::size_t i = 0; i < kThousand; ++i)
    slow.headers.push_back(&crowd.add("GET / HTTP/1.1\r\nHost: alice.localhost\r\nX-Slow: "));
  hold("slow headers", 0);
  for (std::size_t i = 0; i < kThousand; ++i)
    slow.bodies.push_back(&crowd.add("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 1000000\r\n\r\n"));
  hold("slow bodies", kThousand);
  for (std::size_t i = 0; i < kThousand; ++i)
    slow.readers.push_back(&crowd.addDeaf(getRequest("alice", "r", "/large")));
  hold("slow readers", 2 * kThousand);
  for (const auto *group : {&slow.headers, &slow.bodies, &slow.readers})
    CHECK(std::none_of(group->begin(), group->end(), [](const CrowdClient *one) { return one->ended(); }));

  // Their time is up.
  daemon.rewriteConfig({{"proxy.header_timeout", "1s"}, {"proxy.body_timeout", "1s"}});
  REQUIRE(daemon.ctl({"reload"}).status == 0);
  CHECK(crowd.until([&] { return served() && Slow::refused(slow.headers); }));
  CHECK(crowd.until([&] { return served() && Slow::refused(slow.bodies); }));
  const double regular = 40; // half of them come anew each time
  CHECK(crowd.until([&] { return served() && metric(daemon, "matrixos_proxy_connections") <= regular; }));
  CHECK(crowd.until([&] {
    return served() &&
           std::all_of(slow.readers.begin(), slow.readers.end(), [](CrowdClient *one) { return one->isDown(); });
  }));
  // Who does not read is reset: the kernel does not keep for it what it will never take.
  for (CrowdClient *one : slow.readers)
    crowd.listen(*one);
  CHECK(crowd.until([&] {
    return served() &&
           std::all_of(slow.readers.begin(), slow.readers.end(), [](CrowdClient *one) { return one->ended(); });
  }));
  const auto most = std::max_element(slow.readers.begin(), slow.readers.end(), [](CrowdClient *a, CrowdClient *b) {
    return a->received().size() < b->received().size();
  });
  CHECK((*most)->received().size() < 16 * 1024);
  CHECK(regulars.areServed(20));
  CHECK(regulars.failures() == 0);
  CHECK(crowd.until([&] { return descriptors(daemon) <= descriptorsBefore + 2 * static_cast<std::size_t>(regular); }));
}
