/// How the proxy ends: all at once, or only what belongs to a route that has gone.
#include "Streams.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <future>

using namespace kit;
using matrixos::Status;

namespace {

const std::string kGoingAway("\x88\x02\x03\xE9", 4);                // from the server
const std::string kGoneAway("\x88\x82\x01\x02\x03\x04\x02\xEB", 8); // a client's answer to that
const std::string kHello("\x81\x05hello", 7);                       // from the server
const std::string kHelloMasked("\x81\x85\0\0\0\0hello", 11);

/// True for a masked close frame with 1001.
bool isGoingAway(const std::string &frame) {
  return frame.size() == 8 && frame.substr(0, 2) == "\x88\x82" && (frame[6] ^ frame[2]) == 0x03 &&
         static_cast<unsigned char>(frame[7] ^ frame[3]) == 0xE9;
}

/// Ends the proxy on a thread of its own, as a plugin's stop() does.
class Stopping {
public:
  Stopping(ProxyFixture &f, std::chrono::milliseconds drain)
      : done_(std::async(std::launch::async, [&f, drain] { f.proxy->stop(drain); })) {}
  /// False when it still drains after a while.
  bool ended() { return done_.wait_for(20s) == std::future_status::ready; }
  bool runs() { return done_.wait_for(0s) != std::future_status::ready; }

private:
  std::future<void> done_;
};

/// A WebSocket through the proxy whose ends are both in the test's hands.
struct Tunnel {
  explicit Tunnel(ProxyFixture &f, const std::string &host = "alice.localhost") : client(f.connect()) {
    f.instance(host.substr(0, host.find('.')), "running", upstream.port(), upstream.port());
    client.send(upgradeOf(host));
    CHECK(client.readHead().substr(0, 12) == "HTTP/1.1 101");
    REQUIRE(eventually([&] { return ready.load(); }));
  }
  ~Tunnel() {
    client.close();
    leave.set_value();
  }
  std::promise<void> leave;
  std::atomic<bool> ready{false};
  Conn *server = nullptr; // once it is ready
  Upstream upstream{[this, left = leave.get_future().share()](Conn &conn) {
    conn.readHead();
    conn.send(kSwitch);
    server = &conn;
    ready = true;
    left.wait();
  }};
  Conn client;
};

/// Reads until the connection ends, however long a stream would go on: true when it was reset.
bool isCut(Conn &conn) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < end) {
    errno = 0;
    if (conn.readExactly(1).empty()) return errno == ECONNRESET;
  }
  return false;
}

/// An upstream that answers in two halves, the second one when it is told to.
struct Halves {
  std::promise<void> go;
  std::atomic<int> asked{0};
  Upstream upstream{[this, told = go.get_future().share()](Conn &conn) {
    while (!conn.readHead().empty()) {
      conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
      ++asked;
      told.wait();
      conn.send("world");
    }
  }};
};

} // namespace

TEST_CASE("a stop lets answers end, says that they are the last, and refuses new connections") {
  Halves shell;
  ProxyFixture f;
  f.instance("alice", "running", shell.upstream.port());
  Conn idle = f.connect();
  CHECK(idle.get("/", "nobody.localhost").status == 404);
  Conn begun = f.connect();
  begun.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return shell.asked == 1; }));
  Conn fresh = f.connect();
  REQUIRE(eventually([&] { return f.proxy->connections() == 3; }));
  Stopping stopping(f, 30s);
  REQUIRE(eventually([&] {
    try {
      f.connect();
      return false;
    } catch (const std::exception &) {
      return true;
    }
  }));
  // Whoever goes on asking is answered until an answer says that it was the last.
  auto last = fresh.get("/", "nobody.localhost");
  while (last.status == 404 && last.field("Connection").empty())
    last = fresh.get("/", "nobody.localhost");
  CHECK(last.status == 404);
  CHECK(last.field("Connection") == "close");
  CHECK(idle.ends());
  CHECK(stopping.runs());
  shell.go.set_value();
  CHECK(begun.readResponse().body == "helloworld");
  CHECK(begun.ends());
  fresh.close();
  CHECK(stopping.ended());
}

TEST_CASE("what has not been answered yet says that it is the last") {
  std::promise<void> go;
  std::atomic<int> asked{0};
  Upstream shell([&, told = go.get_future().share()](Conn &conn) {
    conn.readHead();
    ++asked;
    told.wait();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  conn.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return asked == 1; }));
  Conn idle = f.connect();
  Stopping stopping(f, 30s);
  CHECK(idle.ends()); // it drains
  go.set_value();
  const auto answer = conn.readResponse();
  CHECK(answer.body == "ok");
  CHECK(answer.field("Connection") == "close");
  conn.close();
  CHECK(stopping.ended());
}

TEST_CASE("what does not end is cut at the deadline") {
  Halves shell;
  ProxyFixture f;
  f.instance("alice", "running", shell.upstream.port());
  Conn conn = f.connect();
  conn.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return shell.asked == 1; }));
  Stopping stopping(f, 200ms);
  CHECK(stopping.ended());
  CHECK(isCut(conn)); // half an answer must not look like a whole one
  shell.go.set_value();
}

TEST_CASE("a request that waits for its instance is answered at once when the proxy stops") {
  ProxyFixture f;
  f.instance("alice", "stopped");
  Conn conn = f.connect();
  conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello");
  Conn socket = f.connect();
  socket.send(upgradeOf("alice.localhost"));
  Conn late = f.connect();
  REQUIRE(eventually([&] { return f.waker.waiting() == 2 && f.proxy->connections() == 3; }));
  Stopping stopping(f, 30s);
  for (Conn *held : {&conn, &socket}) {
    const auto answer = held->readResponse();
    CHECK(answer.status == 503);
    CHECK(answer.field("Retry-After") == "2");
    CHECK(answer.field("Connection") == "close");
    CHECK(held->ends());
  }
  CHECK(f.waker.waiting() == 0);
  // And no wake begins any more.
  CHECK(late.get("/", "alice.localhost").field("Retry-After") == "2");
  CHECK(f.waker.calls == 2);
  conn.close();
  socket.close();
  late.close();
  CHECK(stopping.ended());
  CHECK(f.proxy->waiting() == 0);
}

TEST_CASE("a WebSocket is told that we are going away, and ends when both sides have answered") {
  ProxyFixture f;
  Tunnel tunnel(f);
  tunnel.server->send(kHello);
  CHECK(tunnel.client.readExactly(7) == kHello);
  Stopping stopping(f, 60s);
  CHECK(tunnel.client.readExactly(4) == kGoingAway);
  CHECK(isGoingAway(tunnel.server->readExactly(8)));
  // What comes behind the close frame goes nowhere, in neither direction; neither does the frame that answers it.
  tunnel.server->send(kHello + kGoingAway);
  CHECK(stopping.runs());
  tunnel.client.send(kHelloMasked + kGoneAway);
  CHECK(tunnel.client.ends());
  CHECK(tunnel.server->ends());
  CHECK(stopping.ended());
}

TEST_CASE("the close frame waits for the end of the frame that is under way") {
  ProxyFixture f;
  Tunnel tunnel(f);
  tunnel.server->send(kHello.substr(0, 4));
  CHECK(tunnel.client.readExactly(4) == kHello.substr(0, 4));
  tunnel.client.send(kHelloMasked.substr(0, 3)); // inside its header
  CHECK(tunnel.server->readExactly(3) == kHelloMasked.substr(0, 3));
  Conn idle = f.connect();
  Stopping stopping(f, 60s);
  CHECK(idle.ends()); // it drains
  // The rest, and the start of another one, in one piece.
  tunnel.server->send(kHello.substr(4) + kHello);
  CHECK(tunnel.client.readExactly(7) == kHello.substr(4) + kGoingAway);
  tunnel.client.send(kHelloMasked.substr(3) + kHelloMasked + kGoneAway);
  CHECK(tunnel.server->readExactly(8) == kHelloMasked.substr(3));
  CHECK(isGoingAway(tunnel.server->readExactly(8)));
  tunnel.server->send(kGoingAway);
  CHECK(tunnel.client.ends());
  CHECK(tunnel.server->ends());
  CHECK(stopping.ended());
}

TEST_CASE("a WebSocket that closes already is left to it, one that never comes to a boundary is cut") {
  ProxyFixture f;
  Tunnel closing(f, "alice.localhost");
  Tunnel stuck(f, "bobby.localhost");
  closing.client.send(kGoneAway);
  CHECK(closing.server->readExactly(8) == kGoneAway);
  stuck.server->send(kHello.substr(0, 4));
  CHECK(stuck.client.readExactly(4) == kHello.substr(0, 4));
  Conn idle = f.connect();
  Stopping stopping(f, 3s);
  CHECK(idle.ends()); // it drains
  closing.server->send(kGoingAway);
  closing.server->shutdownWrite();
  CHECK(closing.client.readAll() == kGoingAway); // once
  closing.client.close();
  CHECK(stuck.client.ends());
  CHECK(isGoingAway(stuck.server->readExactly(8)));
  CHECK(stopping.ended());
}

TEST_CASE("a WebSocket that opens while the proxy drains is closed at once") {
  std::promise<void> go;
  std::atomic<bool> asked{false};
  Upstream shell([&, told = go.get_future().share()](Conn &conn) {
    conn.readHead();
    asked = true;
    told.wait();
    conn.send(kSwitch + kHello);
    if (isGoingAway(conn.readExactly(8))) conn.send(kGoingAway);
    conn.readAll();
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  Conn conn = f.connect();
  conn.send(upgradeOf("alice.localhost"));
  REQUIRE(eventually([&] { return asked.load(); }));
  Conn idle = f.connect();
  Stopping stopping(f, 60s);
  CHECK(idle.ends());
  go.set_value();
  CHECK(conn.readHead().substr(0, 12) == "HTTP/1.1 101");
  CHECK(conn.readExactly(11) == kHello + kGoingAway);
  conn.send(kGoneAway);
  CHECK(conn.ends());
  CHECK(stopping.ended());
}

// ------------------------------------------------------------------------------------------------- routes that go

namespace {

/// Answers /events with a stream, /slow never, and everything else at once; counts connections that ended.
struct Instance {
  std::atomic<int> open{0};
  std::atomic<int> asked{0};
  Upstream upstream{[this](Conn &conn) {
    ++open;
    for (std::string head = conn.readHead(); !head.empty(); head = conn.readHead()) {
      ++asked;
      if (head.find("GET /events ") == 0) {
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
        while (conn.send("data: x\n\n"))
          std::this_thread::sleep_for(5ms);
      } else if (head.find(" /slow ") != std::string::npos) {
        conn.readAll();
      } else {
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    }
    --open;
  }};
};

Conn events(ProxyFixture &f, const std::string &handle) {
  Conn conn = f.connect();
  conn.send("GET /events HTTP/1.1\r\nHost: " + handle + ".localhost\r\n\r\n");
  CHECK(conn.readHead().substr(0, 12) == "HTTP/1.1 200");
  return conn;
}

/// As the orchestrator says that an instance was started anew.
matrixos::InstanceRecord record(const std::string &handle, std::uint16_t port, const std::string &epoch,
                                std::uint64_t rev, const std::string &status = "running") {
  matrixos::InstanceRecord made = recordOf(handle, status, rev);
  made.endpoints = {{"shell", "127.0.0.1", port, "host", epoch}, {"gateway", "127.0.0.1", port, "host", epoch}};
  return made;
}

} // namespace

TEST_CASE("streams of a route that was deleted get their time and are cut; those of others go on") {
  Instance alice;
  Instance bobby;
  ProxyFixture f([](auto &o) { o.drain = 300ms, o.server.timeouts.upstreamIdle = 300s; });
  f.instance("alice", "running", alice.upstream.port(), alice.upstream.port());
  f.instance("bobby", "running", bobby.upstream.port(), bobby.upstream.port());
  Conn hers = events(f, "alice");
  Conn his = events(f, "bobby");
  Tunnel tunnel(f, "carol.localhost");
  Conn other = f.connect();
  CHECK(other.get("/", "alice.localhost").status == 200);
  CHECK(other.get("/", "bobby.localhost").status == 200);
  REQUIRE(eventually([&] { return alice.open == 2 && bobby.open == 2; }));

  f.instance("alice", "deleted", 0, 0, 2);
  f.instance("carol", "deleted", 0, 0, 2);
  CHECK(other.get("/", "alice.localhost").status == 404);
  CHECK(isCut(hers));
  CHECK(tunnel.client.readAll() == kGoingAway);
  CHECK(isGoingAway(tunnel.server->readExactly(8)));
  CHECK(eventually([&] { return alice.open == 0; })); // the idle one too
  CHECK(his.readExactly(1000).size() == 1000);
  CHECK(bobby.open == 2);
}

TEST_CASE("idle connections of an address that passed on are closed at once, and a stream is not pooled after it") {
  Instance alice;
  Halves slow;
  ProxyFixture f([](auto &o) {
    o.server.timeouts.upstreamIdle = 300s;
    o.server.loops = 1;
    o.drain = 60s;
  });
  f.routes.apply(record("alice", alice.upstream.port(), "1", 1));
  f.routes.apply(record("bobby", slow.upstream.port(), "1", 1));
  Conn conn = f.connect();
  CHECK(conn.get("/", "alice.localhost").status == 200);
  Conn begun = f.connect();
  begun.send("GET / HTTP/1.1\r\nHost: bobby.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return slow.asked == 1; }));
  CHECK(alice.open == 1);
  f.routes.apply(record("alice", alice.upstream.port(), "2", 2));
  f.routes.apply(record("bobby", slow.upstream.port(), "2", 2));
  CHECK(eventually([&] { return alice.open == 0; }));
  CHECK(conn.get("/", "alice.localhost").status == 200);
  slow.go.set_value();
  CHECK(begun.readResponse().body == "helloworld"); // within its time
  CHECK(begun.get("/", "bobby.localhost").body == "helloworld");
  CHECK(slow.upstream.accepted() == 2);
  CHECK(begun.get("/", "bobby.localhost").body == "helloworld");
  CHECK(slow.upstream.accepted() == 2);
}

TEST_CASE("an instance that changes without its address changing keeps its streams and its connections") {
  Instance alice;
  ProxyFixture f([](auto &o) {
    o.drain = 0ms;
    o.server.timeouts.upstreamIdle = 300s;
    o.server.loops = 1;
  });
  const std::uint16_t port = alice.upstream.port();
  f.routes.apply(record("alice", port, "1", 1));
  Conn stream = events(f, "alice");
  Conn conn = f.connect();
  CHECK(conn.get("/", "alice.localhost").status == 200);
  f.routes.apply(record("alice", port, "1", 2));
  auto more = record("alice", port, "1", 3); // another way to the same instance, and one that is better
  more.endpoints.push_back({"shell", "127.0.0.2", port, "host", "1"});
  more.endpoints.insert(more.endpoints.begin(), {"shell", "127.0.0.3", port, "host", "1"});
  f.routes.apply(more);
  f.routes.apply(record("alice", port, "1", 4));
  for (int i = 0; i < 3; ++i)
    CHECK(conn.get("/", "alice.localhost").status == 200);
  CHECK(alice.upstream.accepted() == 2);
  // Longer than streams take to look.
  const auto end = std::chrono::steady_clock::now() + 2500ms;
  while (std::chrono::steady_clock::now() < end)
    REQUIRE(stream.readExactly(9).size() == 9);
  f.routes.apply(record("alice", port, "1", 8, "stopped")); // its streams end with it, not before
  const auto later = std::chrono::steady_clock::now() + 1500ms;
  while (std::chrono::steady_clock::now() < later)
    REQUIRE(stream.readExactly(9).size() == 9);
  f.routes.apply(record("alice", port, "1", 9, "deleted"));
  CHECK(isCut(stream));
}

TEST_CASE("a request that the old address never answered is asked of the new one") {
  Instance before;
  Instance after;
  ProxyFixture f([](auto &o) { o.drain = 100ms; });
  f.routes.apply(record("alice", before.upstream.port(), "1", 1));
  f.waker.instant = [&](const std::string &handle) {
    return matrixos::proxy::WakeResult{Status::Ok, wakeJson(handle, after.upstream.port(), 9), ""};
  };
  Conn get = f.connect();
  get.send("GET /slow HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  Conn post = f.connect();
  post.send("POST /slow HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 100\r\n\r\nhalf");
  REQUIRE(eventually([&] { return before.asked == 2; }));
  f.routes.apply(record("alice", after.upstream.port(), "2", 2));
  CHECK(post.readResponse().status == 502); // perhaps it was done already
  REQUIRE(eventually([&] { return after.asked == 1; }));
  CHECK(eventually([&] { return before.open == 0; }));
}
