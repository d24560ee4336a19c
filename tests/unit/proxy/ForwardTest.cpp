#include "Kit.h"
#include "support/TempDir.h"

#include <doctest/doctest.h>
#include <http/codec/Traceparent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <future>

using namespace kit;

namespace {

std::string firstLine(const std::string &head) {
  return head.substr(0, head.find("\r\n"));
}

} // namespace

TEST_CASE("hosts and paths reach the right upstream, query kept") {
  Upstream shell(Upstream::echo);
  Upstream gateway([](Conn &conn) {
    while (!conn.readHead().empty())
      conn.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngateway");
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), gateway.port());
  Conn conn = f.connect(); // one connection for all: keep-alive

  for (const std::string host :
       {"alice.localhost", "Alice.LOCALHOST:9000", "alice.matrix.test", "ALICE.matrix.test:80"}) {
    CAPTURE(host);
    CHECK(firstLine(conn.get("/a/b?c=d&e=%2F", host).body) == "GET /a/b?c=d&e=%2F HTTP/1.1");
    CHECK(conn.get("/api", host).body == "gateway");
    CHECK(conn.get("/api/x", host).body == "gateway");
    CHECK(conn.get("/ws?x", host).body == "gateway");
    CHECK(conn.get("/ws/x", host).body == "gateway");
    CHECK(firstLine(conn.get("/apix", host).body) == "GET /apix HTTP/1.1");
    CHECK(firstLine(conn.get("/wsx", host).body) == "GET /wsx HTTP/1.1");
    CHECK(firstLine(conn.get("/x/api/", host).body) == "GET /x/api/ HTTP/1.1");
  }
  for (const std::string host : {"localhost:1", "127.0.0.1", "[::1]:9000", "api.matrix.test", "API.Matrix.Test:443"}) {
    CAPTURE(host);
    CHECK(firstLine(conn.get("/proxy/alice/some/path?x=1", host).body) == "GET /some/path?x=1 HTTP/1.1");
    CHECK(firstLine(conn.get("/proxy/alice", host).body) == "GET / HTTP/1.1");
    CHECK(firstLine(conn.get("/proxy/alice/", host).body) == "GET / HTTP/1.1");
    CHECK(firstLine(conn.get("/proxy/alice?x=1", host).body) == "GET /?x=1 HTTP/1.1");
    CHECK(conn.get("/proxy/alice/api/health", host).body == "gateway");
    CHECK(conn.get("/proxy/alice/ws", host).body == "gateway");
    CHECK(conn.get("/proxy/nobody/x", host).status == 404);
    CHECK(conn.get("/proxy/Alice/x", host).status == 404);
    CHECK(conn.get("/proxy//x", host).status == 404);
    CHECK(conn.get("/proxy/..%2falice/x", host).status == 404);
  }
  CHECK(conn.get("/", "nobody.localhost").status == 404);
  for (const std::string host :
       {"evil.example", "matrix.test", "a.alice.localhost", "alice.localhost..", "localhost..",
        "alice.matrix.test.evil", "127.0.0.2", "10.0.0.1", "alice", "xn--abc.localhost", "-a-.localhost"}) {
    CAPTURE(host);
    CHECK(conn.get("/", host).status == 421);
  }
  CHECK(shell.accepted() == 1); // pooled
  CHECK(gateway.accepted() == 1);
}

TEST_CASE("a missing or doubled Host is 400 and ends the connection") {
  ProxyFixture f;
  for (const std::string text :
       {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: alice.localhost\r\nHost: alice.localhost\r\n\r\n"}) {
    Conn conn = f.connect();
    conn.send(text + "GET /hidden HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    const std::string all = conn.readAll();
    CHECK(all.substr(0, 12) == "HTTP/1.1 400");
    CHECK(all.find("HTTP/1.1", 10) == std::string::npos);
    CHECK(all.find("\"error\":") != std::string::npos);
  }
}

TEST_CASE("the API is reached over its socket, one connection per request, credentials and all") {
  const matrixos::test::TempDir dir;
  const std::string path = (dir / "api.sock").string();
  ProxyFixture f([&](matrixos::proxy::ProxyOptions &options) {
    options.apiSocket = path;
    options.secret = "s3cret";
  });
  Conn conn = f.connect();
  const auto down = conn.get("/containers", "localhost");
  CHECK(down.status == 503);
  CHECK(down.field("Content-Type") == "application/problem+json");
  Upstream api(Upstream::echo, path);
  for (int i = 1; i <= 3; ++i) {
    const auto answer =
        conn.get("/containers?x=1", "api.matrix.test",
                 "Authorization: Bearer s3cret\r\nCookie: __Host-matrixos-s=1\r\nx-matrix-user: root\r\n");
    CHECK(firstLine(answer.body) == "GET /containers?x=1 HTTP/1.1");
    CHECK(fieldOf(answer.body, "Authorization") == "Bearer s3cret");
    CHECK(fieldOf(answer.body, "Cookie") == "__Host-matrixos-s=1");
    CHECK(fieldOf(answer.body, "x-matrix-user").empty());
    CHECK(fieldOf(answer.body, "Connection") == "close");
    CHECK(api.accepted() == i);
  }
  CHECK(conn.get("/proxyx", "127.0.0.1").status == 200);
}

TEST_CASE("what a tenant may know of a client") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](matrixos::proxy::ProxyOptions &options) { options.secret = "s3cret"; });
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  const auto answer = conn.get(
      "/", "alice.localhost:9000",
      "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n"
      "Forwarded: for=6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nx-matrix-user: root\r\n"
      "X_Forwarded_For: 6.6.6.6\r\nAuthorization: bearer s3cret\r\n"
      "Cookie: a=1; __Host-matrixos-session=x; __host-MATRIXOS=y; b=2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
      "TE: trailers\r\nUpgrade: h2c\r\nAccept: */*\r\n");
  const std::string head = answer.body;
  CHECK(fieldOf(head, "Host") == "alice.localhost:9000");
  CHECK(fieldOf(head, "X-Forwarded-For") == "127.0.0.1");
  CHECK(fieldOf(head, "X-Forwarded-Proto") == "http");
  CHECK(fieldOf(head, "X-Forwarded-Host") == "alice.localhost:9000");
  CHECK(fieldOf(head, "Forwarded") == "for=127.0.0.1;host=\"alice.localhost:9000\";proto=http");
  for (const char *gone : {"CF-Connecting-IP", "X-Real-IP", "x-matrix-user", "X_Forwarded_For", "X-Forwarded-Port",
                           "Authorization", "X-Hop", "Connection", "TE", "Upgrade"}) {
    CAPTURE(gone);
    CHECK(fieldOf(head, gone).empty());
  }
  CHECK(fieldOf(head, "Cookie") == "a=1; b=2");
  CHECK(fieldOf(head, "Accept") == "*/*");
  CHECK(fieldOf(head, "X-Request-Id").size() == 32);
  CHECK(fieldOf(head, "X-Request-Id") == answer.field("X-Request-Id"));
  CHECK(matrixos::http::isTraceparent(fieldOf(head, "traceparent")));

  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const std::string kept =
      conn.get("/", "alice.localhost", "traceparent: " + trace + "\r\nAuthorization: Bearer other\r\n").body;
  CHECK(fieldOf(kept, "traceparent") == trace);
  CHECK(fieldOf(kept, "Authorization") == "Bearer other");
  const std::string bad = conn.get("/", "alice.localhost", "traceparent: 00-zz\r\ntracestate: a=b\r\n").body;
  CHECK(matrixos::http::isTraceparent(fieldOf(bad, "traceparent")));
  CHECK(fieldOf(bad, "tracestate").empty());
}

TEST_CASE("a trusted peer's word about the client is believed") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](matrixos::proxy::ProxyOptions &options) {
    options.trustedPeers = {"10.0.0.0/8", "127.0.0.0/8"};
    options.clientAddress = matrixos::proxy::ClientAddress::CfConnectingIp;
  });
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  const std::string head = conn.get("/", "alice.localhost",
                                    "CF-Connecting-IP: 2001:db8::7\r\nX-Forwarded-For: 1.1.1.1\r\n"
                                    "X-Forwarded-Proto: https\r\nX-Request-Id: from-edge.1\r\n")
                               .body;
  CHECK(fieldOf(head, "X-Forwarded-For") == "2001:db8::7");
  CHECK(fieldOf(head, "CF-Connecting-IP") == "2001:db8::7");
  CHECK(fieldOf(head, "X-Forwarded-Proto") == "https");
  CHECK(fieldOf(head, "Forwarded") == "for=\"[2001:db8::7]\";host=\"alice.localhost\";proto=https");
  CHECK(fieldOf(head, "X-Request-Id") == "from-edge.1");
  const std::string forged =
      conn.get("/", "alice.localhost", "CF-Connecting-IP: <script>\r\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\r\n").body;
  CHECK(fieldOf(forged, "X-Forwarded-For") == "127.0.0.1");
}

TEST_CASE("a tenant's cookies stay on its own host") {
  Upstream shell([](Conn &conn) {
    while (!conn.readHead().empty()) {
      conn.send("HTTP/1.1 200 Whatever\r\nContent-Length: 0\r\nSet-Cookie: a=1; Domain=matrix.test; "
                "Path=/\r\nSet-Cookie: b=2; domain = .localhost\r\n"
                "Set-Cookie: c=3; DOMAIN=alice.localhost; Secure\r\nSet-Cookie: __Host-matrixos-session=evil; "
                "Path=/\r\nSet-Cookie: d=Domain=x\r\n"
                "X-Request-Id: forged\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\r\n");
    }
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  const auto answer = conn.get("/", "alice.localhost:9000");
  CHECK(answer.field("Set-Cookie") == "a=1; Path=/|b=2|c=3; DOMAIN=alice.localhost; Secure|d=Domain=x");
  CHECK(answer.head.substr(0, 17) == "HTTP/1.1 200 OK\r\n");
  CHECK(answer.field("X-Request-Id") != "forged");
  CHECK(answer.field("X-Private").empty());
  // Under a path the host is the platform's, and no cookie is a tenant's own.
  const auto byPath = conn.get("/proxy/alice/", "localhost:9000");
  CHECK(byPath.field("Set-Cookie").empty());
  CHECK(answer.field("Keep-Alive").empty());
}

TEST_CASE("pipelined requests are answered in order") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  std::string all;
  for (int i = 0; i < 300; ++i) {
    if (i % 3 == 1)
      all += "GET /n" + std::to_string(i) + " HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n";
    else
      all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 3\r\n\r\nabc";
  }
  std::thread writer([&] { conn.send(all); });
  for (int i = 0; i < 300; ++i) {
    const auto answer = conn.readResponse();
    REQUIRE(answer.status == (i % 3 == 1 ? 404 : 200));
    if (i % 3 != 1) REQUIRE(firstLine(answer.body) == "POST /" + std::to_string(i) + " HTTP/1.1");
    if (i % 3 != 1) REQUIRE(answer.body.substr(answer.body.size() - 3) == "abc");
  }
  writer.join();
}

TEST_CASE("HEAD, 204, 304 and interim answers") {
  Upstream shell([](Conn &conn) {
    for (;;) {
      const std::string head = conn.readHead();
      if (head.empty()) return;
      if (head.find(" /head ") != std::string::npos)
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
      else if (head.find(" /204 ") != std::string::npos)
        conn.send("HTTP/1.1 204 No Content\r\n\r\n");
      else if (head.find(" /304 ") != std::string::npos)
        conn.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n");
      else
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 "
                  "OK\r\nContent-Length: 2\r\n\r\nhi");
    }
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  conn.send("HEAD /head HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  const auto head = conn.readResponse(true);
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "1000");
  CHECK(conn.get("/204", "alice.localhost").status == 204);
  const auto unchanged = conn.get("/304", "alice.localhost");
  CHECK(unchanged.status == 304);
  CHECK(unchanged.field("ETag") == "\"x\"");
  const auto hints = conn.get("/hints", "alice.localhost");
  CHECK(hints.status == 103);
  CHECK(hints.field("Link") == "</a.css>");
  CHECK(conn.readResponse().status == 102);
  CHECK(conn.readResponse().body == "hi");
  // HTTP/1.0 knows no interim answers, and gets its connection closed.
  Conn old = f.connect();
  old.send("GET /hints HTTP/1.0\r\nHost: alice.localhost\r\n\r\n");
  const std::string text = old.readAll();
  CHECK(text.substr(0, 12) == "HTTP/1.1 200");
  CHECK(text.find("HTTP/1.1 103") == std::string::npos);
}

TEST_CASE("Expect: 100-continue end to end") {
  Upstream shell([](Conn &conn) {
    const std::string head = conn.readHead();
    if (fieldOf(head, "Expect") != "100-continue") return;
    if (head.find(" /no ") != std::string::npos) {
      conn.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    conn.send("HTTP/1.1 100 Continue\r\n\r\n");
    const std::string body = conn.readExactly(5);
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body);
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  conn.send("PUT / HTTP/1.1\r\nHost: alice.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  CHECK(conn.readResponse().status == 100);
  conn.send("hello");
  CHECK(conn.readResponse().body == "hello");

  Conn refused = f.connect();
  refused.send("PUT /no HTTP/1.1\r\nHost: alice.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  const auto answer = refused.readResponse();
  CHECK(answer.status == 417);
  CHECK(answer.field("Connection") == "close");
}

TEST_CASE("bodies of every framing arrive whole in both directions") {
  Upstream shell([](Conn &conn) {
    for (;;) {
      const std::string head = conn.readHead();
      if (head.empty()) return;
      std::string body;
      if (fieldOf(head, "Transfer-Encoding") == "chunked") {
        for (;;) {
          std::string line;
          while (line.find("\r\n") == std::string::npos)
            line += conn.readExactly(1);
          const std::size_t size = std::stoul(line, nullptr, 16);
          body += conn.readExactly(size);
          conn.readExactly(2);
          if (size == 0) break;
        }
      } else {
        body = conn.readExactly(std::stoul(fieldOf(head, "Content-Length")));
      }
      if (head.find(" /close ") != std::string::npos) {
        conn.send("HTTP/1.1 200 OK\r\n\r\n" + body);
        return;
      }
      conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
      for (std::size_t at = 0; at < body.size(); at += 1000) {
        const std::string part = body.substr(at, 1000);
        char size[32];
        std::snprintf(size, sizeof size, "%zX;ext=1\r\n", part.size());
        conn.send(size + part + "\r\n");
      }
      conn.send("0\r\nX-Sum: 1\r\nContent-Length: 7\r\n\r\n");
    }
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  std::string body;
  for (int i = 0; i < 20000; ++i)
    body += std::to_string(i);
  Conn conn = f.connect();
  for (const std::string path : {"/chunks", "/close"}) {
    conn.send("POST " + path + " HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n");
    conn.send(body);
    auto answer = conn.readResponse();
    CHECK(answer.status == 200);
    CHECK(answer.body == body);
    conn.send("POST " + path + " HTTP/1.1\r\nHost: alice.localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (std::size_t at = 0; at < body.size(); at += 777) {
      const std::string part = body.substr(at, 777);
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", part.size());
      conn.send(size + part + "\r\n");
    }
    conn.send("0\r\n\r\n");
    answer = conn.readResponse();
    CHECK(answer.status == 200);
    CHECK(answer.body == body);
  }
  // Trailers reach only who asked for them, and never those that frame.
  conn.send(
      "POST / HTTP/1.1\r\nHost: alice.localhost\r\nTE: trailers\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
  const std::string text = conn.readAll();
  CHECK(text.find("0\r\nX-Sum: 1\r\n\r\n") != std::string::npos);
}

TEST_CASE("10 MB up and down past a slow reader, in bounded memory") {
  constexpr std::size_t kSize = 10 * 1024 * 1024;
  std::atomic<std::size_t> sent{0};
  std::promise<void> go;
  auto ready = go.get_future().share();
  Upstream shell([&](Conn &conn) {
    const std::string head = conn.readHead();
    if (head.find("GET ") == 0) {
      conn.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
      const std::string block(16384, 'x');
      for (std::size_t at = 0; at < kSize; at += block.size()) {
        if (!conn.send(block)) return;
        sent += block.size();
      }
    } else {
      ready.wait();
      const std::string body = conn.readExactly(kSize);
      conn.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + std::to_string(body.size()));
    }
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  {
    Conn conn = f.connect();
    conn.send("GET /big HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    // While nobody reads, what was taken from the upstream fits kernel buffers and one block.
    std::size_t before = 1;
    CHECK(eventually([&] {
      const std::size_t now = sent;
      const bool stands = now == before && now > 0;
      before = now;
      std::this_thread::sleep_for(50ms);
      return stands;
    }));
    CHECK(sent < kSize);
    const auto answer = conn.readResponse();
    CHECK(answer.body.size() == kSize);
  }
  {
    Conn conn = f.connect();
    std::thread writer([&] {
      conn.send("PUT /big HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
      conn.send(std::string(kSize, 'y'));
    });
    go.set_value();
    CHECK(conn.readResponse().body == std::to_string(kSize));
    writer.join();
  }
}

TEST_CASE("server-sent events pass at once and count as use") {
  std::promise<void> go;
  auto more = go.get_future().share();
  Upstream shell([&](Conn &conn) {
    conn.readHead();
    conn.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
    more.wait();
    conn.send("9\r\ndata: 2\n\n\r\n");
    conn.readHead();
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  conn.send("GET /events HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  CHECK(conn.readHead().find("text/event-stream") != std::string::npos);
  CHECK(conn.readExactly(14) == "9\r\ndata: 1\n\n\r\n");
  const auto first = f.proxy->collect();
  REQUIRE(first.activity.size() == 1);
  CHECK(first.activity[0] == std::pair<std::string, std::uint64_t>("alice", 2)); // the request and its first event
  go.set_value();
  CHECK(conn.readExactly(14) == "9\r\ndata: 2\n\n\r\n");
  CHECK(f.proxy->collect().activity.size() == 1);
  conn.close();
}

TEST_CASE("payload that passes is use, in either direction, and an exchange is open until its end") {
  std::promise<void> head, rest;
  auto mayAnswer = head.get_future().share(), mayEnd = rest.get_future().share();
  Upstream shell([&](Conn &conn) {
    conn.readHead();
    conn.readExactly(10);
    mayAnswer.wait();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    conn.send("12345");
    mayEnd.wait();
    conn.send("67890");
    conn.readHead();
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  const std::vector<std::pair<std::string, std::uint64_t>> once{{"alice", 1}};
  const auto used = [&] {
    matrixos::proxy::Batch batch;
    CHECK(eventually([&] {
      batch = f.proxy->collect();
      return !batch.activity.empty();
    }));
    CHECK(batch.activity == once);
    return batch.open.size() == 1 && batch.open.front()->handle == "alice";
  };
  const auto silent = [&] {
    const auto batch = f.proxy->collect();
    CHECK(batch.activity.empty());
    return batch.open.size() == 1;
  };
  Conn conn = f.connect();
  conn.send("POST /slow HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 10\r\n\r\n");
  CHECK(used());
  CHECK(silent());
  CHECK(silent()); // how long it lasts is not this plugin's business
  conn.send("12345");
  CHECK(used());
  conn.send("67890");
  CHECK(used());
  CHECK(silent());
  head.set_value();
  CHECK(conn.readHead().find("200 OK") != std::string::npos);
  CHECK(conn.readExactly(5) == "12345");
  CHECK(used());
  CHECK(silent());
  rest.set_value();
  CHECK(conn.readExactly(5) == "67890");
  CHECK(eventually([&] { return f.inFlight("alice") == 0; }));
  CHECK(f.proxy->collect().activity == once);
  CHECK(f.proxy->collect().open.empty());
}

TEST_CASE("a WebSocket is relayed after a valid handshake; pings are no use") {
  Upstream gateway([](Conn &conn) {
    const std::string head = conn.readHead();
    const bool lies = head.find(" /ws/lie ") != std::string::npos;
    if (fieldOf(head, "Upgrade") != "websocket" || fieldOf(head, "Connection") != "Upgrade") return;
    if (head.find(" /ws/200 ") != std::string::npos) {
      conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
      return;
    }
    conn.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
        std::string(lies ? "xxxxLMBiTxaQ9kYGzzhZRbK+xOo=" : "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") + "\r\n\r\n");
    for (std::string byte = conn.readExactly(1); !byte.empty(); byte = conn.readExactly(1))
      conn.send(byte);
  });
  ProxyFixture f;
  f.instance("alice", "running", gateway.port(), gateway.port());
  const std::string shake = "HTTP/1.1\r\nHost: alice.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  Conn conn = f.connect();
  const std::string text("\x81\x85mask\x05\x04\x1f\x07\x02", 11);
  const std::string ping("\x89\x80mask", 6);
  conn.send("GET /ws " + shake + text); // the first frame may come with the handshake
  const std::string head = conn.readHead();
  CHECK(head.substr(0, 12) == "HTTP/1.1 101");
  CHECK(fieldOf(head, "Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(conn.readExactly(text.size()) == text);
  CHECK(eventually([&] {
    const auto batch = f.proxy->collect();
    return !batch.activity.empty();
  }));
  f.proxy->collect();
  conn.send(ping + ping);
  CHECK(conn.readExactly(12) == ping + ping);
  const auto pinged = f.proxy->collect();
  CHECK(pinged.activity.empty());
  CHECK(pinged.open.size() == 1);
  conn.send(text);
  CHECK(conn.readExactly(text.size()) == text);
  CHECK(f.proxy->collect().activity.size() == 1);
  conn.shutdownWrite(); // half-closed: the other side ends too, and all of it
  CHECK(conn.readAll().empty());

  Conn refused = f.connect();
  refused.send("GET /ws/200 " + shake);
  CHECK(refused.readResponse().body == "no");
  Conn lied = f.connect();
  lied.send("GET /ws/lie " + shake);
  CHECK(lied.readResponse().status == 502);
  CHECK(eventually([&] { return f.proxy->connections() == 2; }));
}

TEST_CASE("a half-closed client still gets its answer") {
  Upstream shell([](Conn &conn) {
    conn.readHead();
    std::this_thread::sleep_for(50ms); // the end of the client's side is seen first
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    conn.readHead();
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  conn.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  conn.shutdownWrite();
  CHECK(conn.readAll().find("\r\n\r\nhi") != std::string::npos);
}

TEST_CASE("broken upstreams") {
  struct Row {
    const char *what;
    std::string answer;
    int status; // 0: the connection breaks
  };
  const std::vector<Row> rows{
      {"nothing", "", 502},
      {"half a head", "HTTP/1.1 200 OK\r\nContent-Le", 502},
      {"garbage", "hello\r\n\r\n", 502},
      {"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502},
      {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 502},
      {"an upgrade nobody asked for",
       "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", 502},
      {"only interim answers", "HTTP/1.1 100 Continue\r\n\r\n", 100},
      {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0},
      {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 0},
      {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0},
      {"a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 0},
  };
  for (const Row &row : rows) {
    CAPTURE(row.what);
    Upstream shell([&](Conn &conn) {
      conn.readHead();
      conn.send(row.answer);
    });
    ProxyFixture f([](auto &) {}, false);
    f.instance("alice", "running", shell.port());
    Conn conn = f.connect();
    conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 0\r\n\r\n");
    if (row.status != 0) {
      CHECK(conn.readResponse().status == row.status);
    } else {
      const std::string all = conn.readAll();
      const bool whole = all.find("\r\n0\r\n\r\n") != std::string::npos;
      CHECK_FALSE(whole);
    }
    // The next request is served as ever.
    CHECK(f.connect().get("/", "nobody.localhost").status == 404);
  }
}

TEST_CASE("the head of an answer has a deadline, however slowly it comes") {
  Upstream shell([](Conn &conn) {
    if (conn.readHead().empty()) return;
    conn.send("HTTP/1.1 200 OK\r\nX-Endless: ");
    while (conn.send("x"))
      std::this_thread::sleep_for(20ms);
  });
  ProxyFixture f([](auto &options) { options.server.timeouts.firstByte = 200ms; });
  f.instance("alice", "running", shell.port());
  CHECK(f.connect().get("/", "alice.localhost").status == 504);
}

TEST_CASE("an answer that is given up is reset, so that nobody takes it for whole") {
  // An HTTP/1.0 client knows the end of such an answer by the end of its connection alone.
  Upstream shell([](Conn &conn) {
    const std::string head = conn.readHead();
    if (head.empty()) return;
    conn.send("HTTP/1.1 200 OK\r\n\r\nhalf of it");
    conn.readHead(); // stands still
  });
  ProxyFixture f([](auto &options) { options.server.timeouts.responseBody = 100ms; });
  f.instance("alice", "running", shell.port());
  const auto brokenOff = [&](const std::function<void(Conn &)> &then) {
    Conn conn = f.connect();
    conn.send("GET / HTTP/1.0\r\nHost: alice.localhost\r\n\r\n");
    CHECK(conn.readHead().substr(0, 12) == "HTTP/1.1 200");
    then(conn);
    bool reset = false;
    conn.readAll(&reset);
    return reset;
  };
  CHECK(brokenOff([](Conn &) {})); // by the deadline
  CHECK(brokenOff([&](Conn &) { f.proxy->stop(0ms); }));
}

TEST_CASE("an address that passes to somebody else while it is connected to gets nothing") {
  // Nobody accepts on alice's port and its backlog is full: the kernel tries the next connection again after a second.
  const auto full = std::make_unique<FullPort>();
  Upstream moved(Upstream::echo);
  ProxyFixture f([](auto &options) { options.server.timeouts.connect = 9s; });
  f.instance("alice", "running", full->port());
  Conn conn = f.connect();
  SUBCASE("the instance has moved") {
    conn.send("GET /secret HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    REQUIRE(eventually([&] { return full->somebodyWaits(); }));
    f.instance("alice", "running", moved.port(), 0, 2);
    const std::uint16_t port = full->close();
    std::string heard;
    std::atomic<bool> ended{false};
    Upstream bob(
        [&](Conn &other) {
          heard = other.readAll();
          ended = true;
        },
        port);
    f.instance("bob", "running", port);
    CHECK(firstLine(conn.readResponse().body) == "GET /secret HTTP/1.1");
    CHECK(eventually([&] { return ended.load(); }));
    CHECK(heard.empty());
  }
  SUBCASE("the instance has stopped, and is woken") {
    conn.send("POST /secret HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 4\r\n\r\nbody");
    REQUIRE(eventually([&] { return full->somebodyWaits(); }));
    f.instance("alice", "stopped", 0, 0, 2);
    Upstream bob([](Conn &other) { CHECK(other.readAll().empty()); }, full->close());
    REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
    f.waker.answer({matrixos::Status::Ok, wakeJson("alice", moved.port(), 3), ""});
    CHECK(conn.readResponse().body.ends_with("\r\n\r\nbody"));
  }
  SUBCASE("the instance is gone") {
    conn.send("GET /secret HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    REQUIRE(eventually([&] { return full->somebodyWaits(); }));
    f.instance("alice", "deleted", 0, 0, 2);
    Upstream bob([](Conn &other) { CHECK(other.readAll().empty()); }, full->close());
    CHECK(conn.readResponse().status == 404);
  }
}

TEST_CASE("an upstream's extra bytes are never somebody else's answer") {
  std::atomic<int> requests{0};
  Upstream shell([&](Conn &conn) {
    while (!conn.readHead().empty()) {
      ++requests;
      conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    }
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn conn = f.connect();
  for (int i = 0; i < 20; ++i)
    REQUIRE(conn.get("/", "alice.localhost").body == "ok");
  CHECK(shell.accepted() == 20);
}

TEST_CASE("a request is sent once more only when that is safe") {
  // The connection ends as the second request of it arrives.
  std::atomic<int> requests{0};
  Upstream shell([&](Conn &conn) {
    const std::string head = conn.readHead();
    if (head.empty()) return;
    ++requests;
    if (head.find("POST") == 0) return;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (!conn.readHead().empty()) ++requests;
  });
  ProxyFixture f([](auto &) {}, false);
  f.instance("alice", "running", shell.port());
  {
    Conn conn = f.connect();
    CHECK(conn.get("/", "alice.localhost").status == 200);
    CHECK(conn.get("/", "alice.localhost").status == 200); // sent on the dying connection, then on a new one
    CHECK(requests == 3);
  }
  {
    Conn conn = f.connect();
    requests = 0;
    // POST is not: its first sending may have had its effect.
    conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 0\r\n\r\n");
    CHECK(conn.readResponse().status == 502);
    CHECK(requests == 1);
  }
}

TEST_CASE("bad chunks from a client never reach further") {
  std::atomic<int> whole{0};
  Upstream shell([&](Conn &conn) {
    const std::string head = conn.readHead();
    const std::string rest = conn.readAll();
    if (rest.find("0\r\n\r\n") != std::string::npos) ++whole;
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  for (const std::string chunk :
       {"5\nhello\r\n0\r\n\r\n", "x\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5\r\nhelloGET /hidden"}) {
    Conn conn = f.connect();
    conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk);
    const std::string all = conn.readAll();
    CHECK(all.substr(0, 12) == "HTTP/1.1 400");
  }
  CHECK(whole == 0);
}

TEST_CASE("clients that leave in the middle take their upstream connection with them") {
  std::atomic<int> ended{0};
  Upstream shell([&](Conn &conn) {
    const std::string head = conn.readHead();
    if (head.find("GET /stream") == 0) {
      conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      while (conn.send("5\r\nhello\r\n"))
        std::this_thread::sleep_for(1ms);
    } else {
      conn.readAll();
    }
    ++ended;
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  {
    Conn conn = f.connect();
    conn.send("GET /stream HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    conn.readHead();
    conn.reset();
  }
  CHECK(eventually([&] { return ended == 1; }));
  {
    Conn conn = f.connect();
    conn.send("POST /x HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 100\r\n\r\nabc");
    CHECK(eventually([&] { return shell.accepted() == 2; }));
    conn.close();
  }
  CHECK(eventually([&] { return ended == 2; }));
  {
    Conn conn = f.connect();
    conn.send("GET /wait HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
    CHECK(eventually([&] { return shell.accepted() == 3; }));
    conn.reset();
  }
  CHECK(eventually([&] { return ended == 3; }));
  CHECK(eventually([&] { return f.proxy->connections() == 0; }));
}

TEST_CASE("limits and deadlines of the header") {
  ProxyFixture f([](matrixos::proxy::ProxyOptions &options) {
    options.server.timeouts.header = 150ms;
    options.server.timeouts.keepAlive = 300ms;
  });
  Conn slow = f.connect();
  slow.send("GET / HT");
  CHECK(slow.readAll().substr(0, 12) == "HTTP/1.1 408");
  Conn longTarget = f.connect();
  longTarget.send("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n");
  CHECK(longTarget.readAll().substr(0, 12) == "HTTP/1.1 414");
  Conn large = f.connect();
  large.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'a'));
  CHECK(large.readAll().substr(0, 12) == "HTTP/1.1 431");
  Conn idle = f.connect();
  CHECK(idle.readAll().empty());
}

TEST_CASE("too many connections are turned away") {
  ProxyFixture f([](matrixos::proxy::ProxyOptions &options) { options.server.maxConnections = 3; });
  std::vector<Conn> open;
  for (int i = 0; i < 3; ++i) {
    open.push_back(f.connect());
    CHECK(open.back().get("/", "nobody.localhost").status == 404);
  }
  CHECK(f.connect().readResponse().status == 503);
  // Whoever has sent its request already gets to read the answer, too.
  for (int i = 0; i < 20; ++i) {
    Conn late = f.connect();
    late.send("POST / HTTP/1.1\r\nHost: nobody.localhost\r\nContent-Length: 20000\r\n\r\n" + std::string(20'000, 'x'));
    const auto answer = late.readResponse();
    REQUIRE(answer.status == 503);
    CHECK(answer.field("Retry-After") == "1");
    CHECK(answer.body.find("too many connections") != std::string::npos);
  }
  open.clear();
  CHECK(eventually([&] { return f.proxy->connections() == 0; }));
  CHECK(f.connect().get("/", "nobody.localhost").status == 404);
}

TEST_CASE("a drain lets open answers end") {
  std::promise<void> go;
  auto more = go.get_future().share();
  Upstream shell([&](Conn &conn) {
    conn.readHead();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    more.wait();
    conn.send("cd");
    conn.readHead();
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn idle = f.connect();
  CHECK(idle.get("/", "nobody.localhost").status == 404);
  Conn conn = f.connect();
  conn.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  conn.readHead();
  auto stopped = std::async(std::launch::async, [&] { f.proxy->stop(8s); });
  CHECK(idle.readAll().empty()); // closed at once
  go.set_value();
  CHECK(conn.readExactly(4) == "abcd");
  CHECK(conn.readAll().empty());
  stopped.get();
  CHECK_THROWS(f.connect());
}

TEST_CASE("a body has a size and has to keep moving") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](auto &o) {
    o.server.maxBody = 1000;
    o.server.minBodyRate = 1000;
    o.server.timeouts.requestBody = 200ms;
  });
  f.instance("alice", "running", shell.port());
  const std::string post = "POST / HTTP/1.1\r\nHost: alice.localhost\r\n";

  Conn fits = f.connect();
  fits.send(post + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
  CHECK(fits.readResponse().status == 200);

  Conn announced = f.connect();
  announced.send(post + "Content-Length: 1001\r\n\r\n");
  CHECK(announced.readResponse().status == 413);
  CHECK(announced.readAll().empty());

  Conn chunked = f.connect();
  chunked.send(post + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\ny\r\n");
  CHECK(chunked.readResponse().status == 413);
  CHECK(chunked.readAll().empty());

  // It never stands still for 200 ms, and brings far less than 1000 bytes in a second.
  Conn slow = f.connect();
  slow.send(post + "Content-Length: 1000\r\n\r\n");
  std::atomic<bool> answered{false};
  std::thread drip([&] {
    for (int i = 0; i < 900 && !answered && slow.send("x"); ++i)
      std::this_thread::sleep_for(20ms);
  });
  CHECK(slow.readResponse().status == 408);
  answered = true;
  drip.join();
}

TEST_CASE("an instance has so many requests and WebSockets at a time, whoever sends them") {
  std::mutex mutex;
  std::condition_variable go;
  bool open = false;
  Upstream shell([&](Conn &conn) {
    if (conn.readHead().empty()) return;
    std::unique_lock lock(mutex);
    go.wait_for(lock, 10s, [&] { return open; });
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  ProxyFixture f([](auto &o) {
    o.requestsPerInstance = 2;
    o.webSocketsPerInstance = 1;
  });
  f.instance("alice", "running", shell.port());
  f.instance("bob", "running", shell.port());
  const auto ask = [](Conn &conn, const std::string &host, const std::string &fields = {}) {
    conn.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n");
  };
  const std::string upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  Conn first = f.connect();
  Conn second = f.connect();
  Conn socket = f.connect();
  Conn other = f.connect();
  ask(first, "alice.localhost");
  ask(second, "alice.localhost");
  ask(socket, "alice.localhost", upgrade);
  ask(other, "bob.localhost");
  REQUIRE(eventually([&] { return shell.accepted() == 4; }));
  const auto refused = f.connect().get("/", "alice.localhost");
  CHECK(refused.status == 503);
  CHECK(refused.field("Retry-After") == "1");
  CHECK(f.connect().get("/", "alice.localhost", upgrade).status == 503);
  {
    const std::lock_guard lock(mutex);
    open = true;
  }
  go.notify_all();
  for (Conn *conn : {&first, &second, &socket, &other})
    CHECK(conn->readResponse().status == 200);
  CHECK(eventually([&] { return f.connect().get("/", "alice.localhost").status == 200; }));
}

TEST_CASE("a load balancer names the client before the first request, and only it") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](auto &o) {
    o.server.proxyProtocol = true;
    o.trustedPeers = {"127.0.0.1", "192.0.2.7"};
  });
  f.instance("alice", "running", shell.port());
  const std::string get = "GET / HTTP/1.1\r\nHost: alice.localhost\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n";

  Conn conn = f.connect();
  conn.send("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" + get + get);
  for (int i = 0; i < 2; ++i)
    CHECK(fieldOf(conn.readResponse().body, "X-Forwarded-For") == "192.0.2.1");

  Conn trusted = f.connect();
  trusted.send("PROXY TCP4 192.0.2.7 192.0.2.2 56324 443\r\n");
  trusted.send(get);
  CHECK(fieldOf(trusted.readResponse().body, "X-Forwarded-For") == "198.51.100.9");

  Conn plain = f.connect();
  plain.send(get);
  CHECK(plain.readAll().empty());
}

TEST_CASE("a connection that another process still has a copy of is gone nonetheless") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  std::vector<Conn> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(f.connect());
    CHECK(clients.back().get("/", "alice.localhost").status == 200);
  }
  // A runtime that starts a process has such a moment, between fork() and exec().
  const pid_t copy = ::fork();
  if (copy == 0) {
    ::pause();
    ::_exit(0);
  }
  for (Conn &conn : clients) {
    CHECK(conn.get("/", "alice.localhost", "Connection: close\r\n").status == 200);
    conn.send("more, to a connection that is still open for the kernel");
  }
  CHECK(eventually([&] { return f.proxy->connections() == 0; }));
  for (Conn &conn : clients)
    conn.send("and more");
  CHECK(f.connect().get("/", "alice.localhost").status == 200);
  ::kill(copy, SIGKILL);
  ::waitpid(copy, nullptr, 0);
}

TEST_CASE("what cannot be sent again takes a new connection, which then serves others") {
  Upstream upstream(Upstream::echo);
  ProxyFixture f([](auto &options) { options.server.loops = 1; });
  f.instance("alice", "running", upstream.port());
  Conn conn = f.connect();
  int connections = 1;
  CHECK(conn.get("/", "alice.localhost").status == 200);
  for (const std::string request : {"POST / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n",
                                    "POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 0\r\n\r\n",
                                    "PATCH / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 2\r\n\r\nab",
                                    "PUT / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 2\r\n\r\nab"}) {
    CAPTURE(request);
    conn.send(request);
    CHECK(conn.readResponse().status == 200);
    CHECK(upstream.accepted() == ++connections);
    for (const std::string safe : {"", "Content-Length: 0\r\n"})
      CHECK(conn.get("/", "alice.localhost", safe).status == 200);
    CHECK(upstream.accepted() == connections);
  }
}
