/// Places: who makes room, who has a share, and what is served when there is none.
#include "Kit.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kit;

namespace {

/// Takes requests and answers none, until it is destroyed.
struct Silence {
  Upstream upstream{[](Conn &conn) {
    while (!conn.readHead().empty()) {
    }
  }};
};

Conn from(const char *source, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, source, &address.sin_addr);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
  ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  address.sin_port = htons(port);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
  return Conn(fd);
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n";

} // namespace

TEST_CASE("who is idle, or at half a header, makes room; who is served does not") {
  Silence silence;
  ProxyFixture f([](auto &o) {
    o.server.maxConnections = 8;
    o.server.shedIdle = true;
    o.server.loops = 1;
  });
  f.instance("alice", "running", silence.upstream.port());
  Conn busy = f.connect();
  busy.send(kGet);
  CHECK(eventually([&] { return f.inFlight("alice") == 1; }));
  std::vector<Conn> crowd;
  for (int i = 0; i < 40; ++i) {
    crowd.push_back(f.connect());
    if (i % 2 == 0) crowd.back().send("GET / HTTP/1.1\r\nHost: a");
  }
  CHECK(f.connect().get("/", "nobody.localhost").status == 404);
  CHECK(f.inFlight("alice") == 1);
  CHECK(eventually([&] { return f.proxy->connections() <= 8; }));
}

TEST_CASE("one address has its share, and another one comes through") {
  Silence silence;
  ProxyFixture f([](auto &o) {
    o.server.maxConnections = 64;
    o.server.peerConnections = 4;
    o.server.shedIdle = true;
  });
  f.instance("alice", "running", silence.upstream.port());
  std::vector<Conn> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(f.connect());
    held.back().send(kGet);
  }
  CHECK(eventually([&] { return f.inFlight("alice") == 4; }));
  const auto refused = f.connect().get("/", "nobody.localhost");
  CHECK(refused.status == 503);
  CHECK(refused.field("Retry-After") == "1");
  CHECK(refused.body.find("from this address") != std::string::npos);
  CHECK(from("127.0.0.2", f.port).get("/", "nobody.localhost").status == 404);
  // Fronts bring others.
  f.reconfigure([](auto &o) { o.trustedPeers = {"127.0.0.1"}; });
  CHECK(f.connect().get("/", "nobody.localhost").status == 404);
  f.reconfigure([](auto &o) { o.trustedPeers = {}; });
  for (Conn &conn : held)
    conn.reset();
  CHECK(eventually([&] { return f.connect().get("/", "nobody.localhost").status == 404; }));
}

TEST_CASE("flooded instances leave places for those that are not") {
  Silence silence;
  Upstream good(Upstream::echo);
  ProxyFixture f([](auto &o) {
    o.server.maxConnections = 64;
    o.server.shedIdle = true;
  });
  f.instance("innocent", "running", good.port());
  std::vector<Conn> held;
  for (const std::string name : {"flood-a", "flood-b", "flood-c", "flood-d", "flood-e"}) {
    f.instance(name, "running", silence.upstream.port());
    for (int i = 0; i < 40; ++i) {
      held.push_back(f.connect());
      held.back().send("GET / HTTP/1.1\r\nHost: " + name + ".localhost\r\n\r\n");
    }
  }
  CHECK(eventually([&] { return f.connect().get("/", "innocent.localhost").status == 200; }));
  std::size_t all = 0;
  for (const std::string name : {"flood-a", "flood-b", "flood-c", "flood-d", "flood-e"})
    all += f.inFlight(name);
  CHECK(all < 64);
}
