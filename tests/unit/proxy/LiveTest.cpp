/// What changes while the proxy runs, and what does not notice.
#include "Streams.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

using namespace kit;
using matrixos::Status;

namespace {

std::string at(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

} // namespace

TEST_CASE("streams survive the listener they came through, and every limit that changes around them") {
  Upstream shell(serveStreams);
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  Streams streams(f.port, "alice.localhost");
  const std::uint16_t added = freePort();
  f.reconfigure([&](auto &o) { o.server.listen.push_back(at(added)); });
  REQUIRE(f.proxy->addresses().size() == 2);
  CHECK(Conn::to(added).get("/", "alice.localhost").status == 200);
  CHECK(f.connect().get("/", "alice.localhost").status == 200);
  streams.goOn();

  f.reconfigure([&](auto &o) { o.server.listen = {at(added)}; });
  CHECK_THROWS(f.connect());
  CHECK(Conn::to(added).get("/", "alice.localhost").status == 200);
  streams.goOn();

  f.reconfigure([](auto &o) {
    o.server.maxConnections = 16;
    o.server.maxBody = 1024; // the upload is larger, but older
    o.server.idleUpstreams = 0;
    o.server.request.target = 256;
    o.requestsPerInstance = 4;
    o.webSocketsPerInstance = 1;
    o.server.timeouts.firstByte = 5s;
    o.accessLog = false;
  });
  streams.goOn();
  f.instance("alice", "running", shell.port(), shell.port(), 7); // nothing but the number
  f.instance("bobby", "running", shell.port(), shell.port(), 1);
  f.instance("bobby", "deleted", 0, 0, 2);
  streams.end();
}

TEST_CASE("what cannot be bound leaves everything as it was") {
  Upstream shell(serveStreams);
  Upstream taken(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  Streams streams(f.port, "alice.localhost");
  const std::uint16_t fine = freePort();
  try {
    f.reconfigure([&](auto &o) {
      o.server.listen = {at(fine), at(taken.port())};
      o.server.maxBody = 10;
    });
    FAIL("it was accepted");
  } catch (const matrixos::Error &e) {
    CHECK(e.status() == Status::AlreadyExists);
    CHECK(std::string(e.what()).find("cannot listen on " + at(taken.port())) == 0);
  }
  CHECK_THROWS(Conn::to(fine));
  CHECK(f.proxy->addresses().size() == 1);
  CHECK(f.proxy->addresses().front().port() == f.port);
  Conn conn = f.connect();
  conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 11\r\n\r\nhello world");
  CHECK(conn.readResponse().status == 200);
  streams.end();

  CHECK_THROWS_AS(f.reconfigure([](auto &o) { o.trustedPeers = {"nonsense"}, o.server.maxBody = 10; }),
                  matrixos::Error);
  CHECK_THROWS_AS(f.reconfigure([](auto &o) { o.server.listen = {"localhost:1"}, o.server.maxBody = 10; }),
                  matrixos::Error);
  // A head has to fit into a block, and blocks stay as they are.
  CHECK_THROWS_AS(f.reconfigure([](auto &o) { o.server.response.bytes = 64 * 1024, o.server.maxBody = 10; }),
                  matrixos::Error);
  Conn again = f.connect();
  again.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 11\r\n\r\nhello world");
  CHECK(again.readResponse().status == 200);
}

TEST_CASE("new limits are those of the next request, on open connections too") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](auto &o) { o.server.request.bytes = o.server.response.bytes = 8 * 1024; });
  f.instance("alice", "running", shell.port(), shell.port());
  const auto statusOf = [&](Conn &conn, const std::string &target, const std::string &fields, const std::string &body) {
    conn.send("POST " + target + " HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n" + fields + "\r\n" + body);
    return conn.readResponse().status;
  };
  Conn one = f.connect();
  Conn two = f.connect();
  Conn three = f.connect();
  for (Conn *conn : {&one, &two, &three}) {
    CHECK(statusOf(*conn, "/" + std::string(600, 'u'), "X: " + std::string(6000, 'x') + "\r\n", "hello") == 200);
  }
  f.reconfigure([](auto &o) {
    o.server.request.bytes = 4 * 1024;
    o.server.request.target = 512;
    o.server.maxBody = 4;
  });
  CHECK(statusOf(one, "/", "", "hello") == 413);
  CHECK(statusOf(two, "/" + std::string(600, 'u'), "", "") == 414);
  CHECK(statusOf(three, "/", "X: " + std::string(6000, 'x') + "\r\n", "") == 431);
  f.reconfigure([](auto &o) { o.server.request.bytes = 16 * 1024, o.server.maxBody = 5; });
  Conn four = f.connect();
  CHECK(statusOf(four, "/", "X: " + std::string(9000, 'x') + "\r\n", "hello") == 200);
}

TEST_CASE("a shorter timeout ends what waits already") {
  ProxyFixture f([](auto &o) { o.server.timeouts.header = 300s; }); // no timer of the old ones is due meanwhile
  Conn idle = f.connect();
  CHECK(idle.get("/", "nobody.localhost").status == 404);
  Conn slow = f.connect();
  slow.send("GET / HTTP/1.1\r\nHos");
  f.reconfigure([](auto &o) { o.server.timeouts.keepAlive = o.server.timeouts.header = 100ms; });
  CHECK(idle.ends());
  CHECK(slow.readResponse().status == 408);
}

TEST_CASE("whom to trust is asked anew for the next request of an open connection") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  const std::string says = "X-Forwarded-For: 192.0.2.7\r\n";
  CHECK(fieldOf(conn.get("/", "alice.localhost", says).body, "X-Forwarded-For") == "127.0.0.1");
  f.reconfigure([](auto &o) { o.trustedPeers = {"127.0.0.0/8"}; });
  CHECK(fieldOf(conn.get("/", "alice.localhost", says).body, "X-Forwarded-For") == "192.0.2.7");
  f.reconfigure([](auto &o) { o.trustedPeers = {"10.0.0.0/8"}; });
  CHECK(fieldOf(conn.get("/", "alice.localhost", says).body, "X-Forwarded-For") == "127.0.0.1");
}

TEST_CASE("how many may come, and how many may wait") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "stopped");
  Conn waiting = f.connect();
  waiting.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  f.reconfigure([](auto &o) { o.waitersPerInstance = 1; });
  Conn other = f.connect();
  CHECK(other.get("/", "alice.localhost").status == 503);
  f.reconfigure([](auto &o) { o.waitersPerInstance = 8, o.waiters = 1; });
  CHECK(other.get("/", "alice.localhost").status == 503);
  f.reconfigure([](auto &o) { o.waiters = 8, o.requestsPerInstance = 1; });
  CHECK(other.get("/", "alice.localhost").field("Retry-After") == "1"); // too much to do
  f.waker.answer({Status::Ok, wakeJson("alice", shell.port()), ""});
  CHECK(waiting.readResponse().status == 200);

  f.reconfigure([](auto &o) { o.server.maxConnections = 2; });
  CHECK(f.connect().readResponse().status == 503);
  f.reconfigure([](auto &o) { o.server.maxConnections = 3; });
  CHECK(f.connect().get("/", "alice.localhost").status == 200);

  // An answer arrives before it is counted, and is counted before it is logged.
  std::uint64_t counted = 0;
  std::size_t logged = 0;
  const auto collectUntil = [&](const std::function<bool()> &holds) {
    return eventually([&] {
      const auto batch = f.proxy->collect();
      for (const auto &route : batch.counts)
        for (const auto &status : route)
          counted += status.requests;
      logged += batch.access.size();
      return holds();
    });
  };
  CHECK(collectUntil([&] { return counted == 6 && logged == 6; }));
  f.reconfigure([](auto &o) { o.accessLog = false; });
  CHECK(other.get("/", "alice.localhost").status == 200);
  CHECK(collectUntil([&] { return counted == 7; }));
  f.reconfigure([](auto &o) { o.accessLog = true; });
  CHECK(other.get("/", "alice.localhost").status == 200);
  CHECK(collectUntil([&] { return counted == 8 && logged == 7; }));
}

TEST_CASE("the header of a load balancer is asked for from the next connection on") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn before = f.connect();
  CHECK(before.get("/", "alice.localhost").status == 200);
  f.reconfigure([](auto &o) { o.server.proxyProtocol = true, o.trustedPeers = {"127.0.0.1"}; });
  CHECK(before.get("/", "alice.localhost").status == 200);
  Conn with = f.connect();
  with.send("PROXY TCP4 192.0.2.9 127.0.0.1 5 80\r\n");
  CHECK(fieldOf(with.get("/", "alice.localhost").body, "X-Forwarded-For") == "192.0.2.9");
  Conn without = f.connect();
  without.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  CHECK(without.ends());
}

TEST_CASE("changes under load lose no request") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> served{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      Conn kept = f.connect();
      while (!stop) {
        if (i % 2 == 0) {
          if (kept.get("/", "alice.localhost").status != 200) ++wrong;
        } else if (f.connect().get("/", "alice.localhost").status != 200) {
          ++wrong;
        }
        ++served;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    const int before = served;
    f.reconfigure([&](auto &o) {
      o.server.listen = {at(f.port)};
      if (i % 2 == 0) o.server.listen.push_back("127.0.0.1:0");
      o.server.maxBody = 1000U + static_cast<unsigned>(i);
      o.accessLog = i % 3 == 0;
      o.trustedPeers = i % 2 == 0 ? std::vector<std::string>{"127.0.0.1"} : std::vector<std::string>{};
    });
    CHECK(eventually([&] { return served > before + 4; }));
  }
  stop = true;
  for (std::thread &client : clients)
    client.join();
  CHECK(wrong == 0);
}
