/// How large a body may be, by where it goes, and how slowly an answer may be read.
#include "Kit.h"

#include <doctest/doctest.h>
#include <support/TempDir.h>
#include <sys/socket.h>

using namespace kit;
using matrixos::test::TempDir;

namespace {

std::string sized(const std::string &host, std::size_t size) {
  return "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
         std::string(size, 'x');
}

std::string chunked(const std::string &host, std::size_t size) {
  std::string out = "POST / HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (; size > 10; size -= 10)
    out += "a\r\n" + std::string(10, 'x') + "\r\n";
  return out + (size == 10 ? "a" : std::to_string(size)) + "\r\n" + std::string(size, 'x') + "\r\n0\r\n\r\n";
}

/// Reads the request with its body, whichever way it is framed, and answers.
void take(Conn &conn) {
  for (std::string head = conn.readHead(); !head.empty(); head = conn.readHead()) {
    const std::string length = fieldOf(head, "Content-Length");
    if (!length.empty()) {
      conn.readExactly(std::stoul(length));
    } else {
      std::string end;
      for (std::string byte = conn.readExactly(1); !byte.empty(); byte = conn.readExactly(1)) {
        end += byte;
        if (end.size() >= 7 && end.substr(end.size() - 7) == "\r\n0\r\n\r\n") break;
      }
    }
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
}

} // namespace

TEST_CASE("the API and the instances have each their own cap, for bodies of known and of unknown length") {
  TempDir dir;
  Upstream api(take, (dir / "api.sock").string());
  Upstream shell(take);
  ProxyFixture f([&](auto &o) {
    o.apiSocket = (dir / "api.sock").string();
    o.maxApiBody = 100;
    o.maxInstanceBody = 300;
    o.server.maxBody = 300;
  });
  f.instance("alice", "running", shell.port());
  f.instance("sleeper", "stopped");
  const auto statusOf = [&](const std::string &request) {
    Conn conn = f.connect();
    conn.send(request);
    return conn.readResponse().status;
  };
  const auto check = [&](const std::string &host, std::size_t cap) {
    CAPTURE(host);
    CAPTURE(cap);
    CHECK(statusOf(sized(host, cap)) == 200);
    CHECK(statusOf(chunked(host, cap)) == 200);
    CHECK(statusOf(sized(host, cap + 1)) == 413);
    CHECK(statusOf(chunked(host, cap + 1)) == 413);
  };
  check("localhost", 100);
  check("alice.localhost", 300);
  CHECK(statusOf(sized("sleeper.localhost", 301)) == 413);
  CHECK(f.waker.calls == 0); // nothing is started for what is refused anyway
  f.reconfigure([](auto &o) { o.maxApiBody = o.server.maxBody = 400, o.maxInstanceBody = 50; });
  check("localhost", 400);
  check("alice.localhost", 50);
  CHECK(statusOf(sized("sleeper.localhost", 51)) == 413);
}

namespace {

constexpr std::size_t kLarge = 24 * 1024 * 1024;

void sendLarge(Conn &conn) {
  const std::string block(64 * 1024, 'x');
  conn.readHead();
  conn.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kLarge) + "\r\n\r\n");
  for (std::size_t sent = 0; sent < kLarge && conn.send(block); sent += block.size()) {
  }
}

/// Reads what comes, with a pause after each piece; how much it was.
std::size_t readWithPauses(Conn &conn, std::chrono::milliseconds pause) {
  std::size_t sum = 0;
  for (std::string piece = conn.readExactly(64 * 1024); !piece.empty(); piece = conn.readExactly(64 * 1024)) {
    sum += piece.size();
    std::this_thread::sleep_for(pause);
  }
  return sum;
}

/// Why the first request that ended did so.
std::string reasonOf(ProxyFixture &f) {
  std::string reason = "none";
  CHECK(eventually([&] {
    const auto batch = f.proxy->collect();
    if (!batch.access.empty()) reason = batch.access.front().reason;
    return !batch.access.empty();
  }));
  return reason;
}

} // namespace

TEST_CASE("a client that reads, but too slowly, is cut; without a rate it may take its time") {
  Upstream shell(sendLarge);
  ProxyFixture f([](auto &o) {
    o.server.timeouts.requestBody = 1s;
    o.server.minReadRate = 1ULL << 40U; // nobody reads like that
  });
  f.instance("alice", "running", shell.port());
  Conn slow = f.connect();
  slow.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  slow.readHead();
  CHECK(readWithPauses(slow, 6ms) < kLarge);
  CHECK(reasonOf(f) == "the client reads too slowly");

  f.reconfigure([](auto &o) { o.server.minReadRate = 0, o.server.timeouts.requestBody = 30s; });
  Conn patient = f.connect();
  patient.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  patient.readHead();
  CHECK(readWithPauses(patient, 1ms) == kLarge);
}

TEST_CASE("an instance that brings little, and a client that waits for it, are not taken for a slow client") {
  Upstream shell([](Conn &conn) {
    conn.readHead();
    conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    for (int i = 0; i < 150; ++i) {
      if (!conn.send("data: x\n\n")) return;
      std::this_thread::sleep_for(10ms);
    }
  });
  ProxyFixture f([](auto &o) {
    o.server.timeouts.requestBody = 100ms;
    o.server.minReadRate = 1ULL << 40U;
  });
  f.instance("alice", "running", shell.port());
  const auto answer = f.connect().get("/", "alice.localhost");
  CHECK(answer.status == 200);
  CHECK(answer.body.size() == 150 * 9);
}
