#include "Kit.h"

#include <matrixos/text/base64.hpp>

#include <doctest/doctest.h>
#include <openssl/sha.h>

#include <array>

using namespace kit;
using matrixos::Status;

TEST_CASE("a request for a sleeper is held, wakes it, and is then served") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "stopped");
  Conn conn = f.connect();
  conn.send("POST /x?y HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  CHECK(f.proxy->waiting() == 1);
  f.waker.answer({Status::Ok, wakeJson("alice", shell.port()), ""});
  const auto answer = conn.readResponse();
  CHECK(answer.status == 200);
  CHECK(answer.body.substr(0, 17) == "POST /x?y HTTP/1.");
  CHECK(answer.body.substr(answer.body.size() - 5) == "hello");
  CHECK(answer.field("Server-Timing").substr(0, 57) == "queue;dur=1, engine;dur=230, ready;dur=40, first-byte;dur");
  CHECK(f.proxy->waiting() == 0);
  // The route came with the wake: the next request needs no other.
  CHECK(conn.get("/", "alice.localhost").status == 200);
  CHECK(f.waker.calls == 1);
}

TEST_CASE("a large body of a held request is read to its limit only, and arrives whole") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "stopped");
  Conn conn = f.connect();
  const std::string body(2 * 1024 * 1024, 'z');
  std::thread writer([&] {
    conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n");
    conn.send(body);
  });
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  f.waker.answer({Status::Ok, wakeJson("alice", shell.port()), ""});
  const auto answer = conn.readResponse();
  writer.join();
  CHECK(answer.status == 200);
  CHECK(answer.body.size() > body.size());
}

TEST_CASE("how a wake that fails is told") {
  struct Row {
    Status status;
    int http;
  };
  for (const Row row : {Row{Status::NotFound, 404}, Row{Status::Unavailable, 503}, Row{Status::ResourceExhausted, 503},
                        Row{Status::DeadlineExceeded, 504}, Row{Status::Internal, 503}}) {
    ProxyFixture f;
    f.waker.instant = [&](const std::string &) { return matrixos::proxy::WakeResult{row.status, "", "NO"}; };
    f.instance("alice", "stopped");
    Conn conn = f.connect();
    const auto answer = conn.get("/", "alice.localhost");
    CHECK(answer.status == row.http);
    CHECK(answer.field("Content-Type") == "application/problem+json");
    CHECK(answer.body.find("\"error\":\"") != std::string::npos);
    const auto page = conn.get("/", "alice.localhost", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
    CHECK(page.status == row.http);
    CHECK(page.field("Content-Type") == "text/html; charset=utf-8");
    CHECK(page.body.find("<!doctype html>") == 0);
    CHECK(f.proxy->waiting() == 0);
  }
}

TEST_CASE("a wake that ends in nonsense, or in an instance that listens nowhere, is 502") {
  ProxyFixture f;
  f.instance("alice", "stopped");
  const std::uint16_t port = freePort();
  for (const std::string &json :
       std::vector<std::string>{std::string("{"), std::string("[]"), std::string("{\"instance\":{}}"),
                                std::string("{}"), wakeJson("alice", port)}) {
    CAPTURE(json);
    f.waker.instant = [&](const std::string &) { return matrixos::proxy::WakeResult{Status::Ok, json, ""}; };
    CHECK(f.connect().get("/", "alice.localhost").status == 502);
  }
}

TEST_CASE("an instance that is deleted while it is woken stays deleted") {
  Upstream bob(Upstream::echo); // on the port that was alice's
  ProxyFixture f;
  f.instance("alice", "stopped");
  Conn conn = f.connect();
  conn.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  f.instance("alice", "deleted", 0, 0, 3);
  f.waker.answer({Status::Ok, wakeJson("alice", bob.port(), 2), ""});
  CHECK(conn.readResponse().status == 404);
  CHECK(conn.get("/", "alice.localhost").status == 404);
  CHECK(bob.accepted() == 0);
}

TEST_CASE("an instance that runs but does not listen yet is waited for") {
  const std::uint16_t port = freePort();
  ProxyFixture f;
  f.instance("alice", "running", port, port);
  Conn conn = f.connect();
  conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  Upstream shell(Upstream::echo, port);
  f.waker.answer({Status::Ok, wakeJson("alice", port), ""});
  CHECK(conn.readResponse().status == 200);
}

TEST_CASE("a port proxy that accepts and hangs up is not taken for the application") {
  std::atomic<bool> up{false};
  Upstream shell([&](Conn &conn) {
    if (up)
      Upstream::echo(conn);
    else
      conn.readHead();
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  Conn conn = f.connect();
  conn.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  up = true;
  f.waker.answer({Status::Ok, wakeJson("alice", shell.port()), ""});
  CHECK(conn.readResponse().status == 200);
}

TEST_CASE("who is refused waits until the instance answers, however often, and sends nothing twice") {
  const std::uint16_t port = freePort();
  ProxyFixture f;
  f.instance("alice", "running", port, port);
  Conn conn = f.connect();
  conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello");
  for (int calls = 1; calls <= 3; ++calls) {
    // It answered whoever looked, and ended before the request came.
    REQUIRE(eventually([&] { return f.waker.calls == calls && f.waker.waiting() == 1; }));
    if (calls < 3) f.waker.answer({Status::Ok, wakeJson("alice", port), ""});
  }
  std::atomic<int> requests{0};
  Upstream shell(
      [&](Conn &server) {
        ++requests;
        Upstream::echo(server);
      },
      port);
  f.waker.answer({Status::Ok, wakeJson("alice", port), ""});
  CHECK(conn.readResponse().status == 200);
  CHECK(requests == 1);
}

TEST_CASE("who is refused although the instance is said to answer is told so in the end") {
  const std::uint16_t port = freePort();
  ProxyFixture f;
  f.waker.instant = [&](const std::string &) {
    return matrixos::proxy::WakeResult{Status::Ok, wakeJson("alice", port), ""};
  };
  f.instance("alice", "running", port, port);
  CHECK(f.connect().get("/", "alice.localhost").status == 502);
  CHECK(f.waker.calls > 1);
}

TEST_CASE(
    "an address inside the machine that refuses is the end of it: a port proxy before it would take the request") {
  Upstream portProxy([](Conn &conn) { conn.readHead(); });
  ProxyFixture f;
  matrixos::InstanceRecord record = recordOf("alice", "running", 1);
  const std::uint16_t port = freePort();
  record.endpoints = {{"shell", "127.0.0.1", port, "bridge", "e1"},
                      {"shell", "127.0.0.1", portProxy.port(), "host", "e1"}};
  f.routes.apply(record);
  Conn conn = f.connect();
  conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  CHECK(portProxy.accepted() == 0);
  Upstream shell(Upstream::echo, port);
  f.waker.answer({Status::Ok, "{\"instance\":" + record.toJson() + "}", ""});
  CHECK(conn.readResponse().status == 200);
}

TEST_CASE("a request that overlaps a stop waits for it and wakes the instance again") {
  Upstream shell(Upstream::echo);
  const std::uint16_t gone = freePort();
  ProxyFixture f;
  f.instance("alice", "running", gone, gone);
  Conn conn = f.connect();
  conn.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  // It answered until now, and is being stopped.
  f.instance("alice", "stopped", 0, 0, 3);
  f.waker.answer({Status::Ok, wakeJson("alice", gone, 2), ""});
  REQUIRE(eventually([&] { return f.waker.calls == 2 && f.waker.waiting() == 1; }));
  f.instance("alice", "running", shell.port(), shell.port(), 4);
  f.waker.answer({Status::Ok, wakeJson("alice", shell.port(), 4), ""});
  CHECK(conn.readResponse().status == 200);
}

TEST_CASE("an event stream that opens again by itself does not wake an instance that was just stopped") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  matrixos::InstanceRecord record = recordOf("alice", "stopped", 2);
  record.phase = matrixos::InstancePhase::Stopping;
  f.routes.apply(record);
  f.instance("alice", "stopped", 0, 0, 3);
  f.proxy->collect();
  Conn conn = f.connect();
  for (const char *fields : {"Accept: text/event-stream\r\nSec-Fetch-Mode: cors\r\n", "Last-Event-ID: 7\r\n"}) {
    CAPTURE(fields);
    const auto answer = conn.get("/events", "alice.localhost", fields);
    CHECK(answer.status == 503);
    CHECK(std::stoi(answer.field("Retry-After")) > 1700);
    CHECK(answer.body.find("an event stream that opens again by itself does not wake it") != std::string::npos);
  }
  CHECK(f.waker.calls == 0);
  CHECK(f.proxy->collect().activity.empty()); // nor is it use
  SUBCASE("somebody who opens the page does, and then the stream may wait too") {
    Conn page = f.connect();
    page.send(
        "GET / HTTP/1.1\r\nHost: alice.localhost\r\nSec-Fetch-Mode: navigate\r\nAccept: text/event-stream\r\n\r\n");
    REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
    conn.send("GET /events HTTP/1.1\r\nHost: alice.localhost\r\nAccept: text/event-stream\r\n\r\n");
    REQUIRE(eventually([&] { return f.waker.waiting() == 2; }));
    f.waker.answer({Status::Ok, wakeJson("alice", shell.port(), 4), ""});
    CHECK(page.readResponse().status == 200);
    CHECK(conn.readResponse().status == 200);
  }
  SUBCASE("a program's request does") {
    conn.send("GET /data HTTP/1.1\r\nHost: alice.localhost\r\nAccept: application/json\r\n\r\n");
    CHECK(eventually([&] { return f.waker.waiting() == 1; }));
  }
  SUBCASE("after the back-off it does") {
    f.reconfigure([](auto &options) { options.reconnectBackoff = 0ms; });
    conn.send("GET /events HTTP/1.1\r\nHost: alice.localhost\r\nLast-Event-ID: 7\r\n\r\n");
    CHECK(eventually([&] { return f.waker.waiting() == 1; }));
  }
  SUBCASE("an instance that ended by itself is woken") {
    f.instance("alice", "deleted", 0, 0, 4);
    f.instance("alice", "running", shell.port(), shell.port(), 5);
    f.instance("alice", "stopped", 0, 0, 6);
    conn.send("GET /events HTTP/1.1\r\nHost: alice.localhost\r\nLast-Event-ID: 7\r\n\r\n");
    CHECK(eventually([&] { return f.waker.waiting() == 1; }));
  }
}

TEST_CASE("an answer that breaks off in its header is not asked for again") {
  std::atomic<int> requests{0};
  Upstream shell([&](Conn &conn) {
    if (conn.readHead().empty()) return;
    ++requests;
    conn.send("HTTP/1.1 200 OK\r\nContent-");
  });
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), shell.port());
  CHECK(f.connect().get("/", "alice.localhost").status == 502);
  CHECK(requests == 1);
  CHECK(f.waker.calls == 0);
}

TEST_CASE("as long as others wait until an instance answers, whoever comes waits too, unless it has answered already") {
  Upstream gateway(Upstream::echo);
  Upstream shell([](Conn &conn) { conn.readHead(); }); // a port proxy: accepts and hangs up
  ProxyFixture f;
  f.instance("alice", "running", shell.port(), gateway.port());
  Conn first = f.connect();
  first.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  // Sent to the port proxy it would be lost: no second attempt is allowed.
  Conn second = f.connect();
  second.send("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: 5\r\n\r\nhello");
  Conn third = f.connect();
  third.send("GET /api HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 3; }));
  f.waker.answer({Status::Ok, wakeJson("alice", gateway.port()), ""});
  CHECK(first.readResponse().status == 200);
  CHECK(second.readResponse().status == 200);
  CHECK(third.readResponse().status == 200);

  // The gateway has answered: that the shell no longer does is not its business.
  f.instance("alice", "running", shell.port(), gateway.port(), 3);
  CHECK(third.get("/api", "alice.localhost").status == 200);
  first.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  CHECK(third.get("/api", "alice.localhost").status == 200);
}

TEST_CASE("200 simultaneous requests for three sleepers") {
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  std::vector<Conn> clients;
  for (int i = 0; i < 200; ++i) {
    const std::string handle = "user" + std::to_string(i % 4);
    if (i < 4) f.instance(handle, "stopped");
    clients.push_back(f.connect());
    clients.back().send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: " + handle + ".localhost\r\n\r\n");
  }
  REQUIRE(eventually([&] { return f.waker.waiting() == 200; }));
  CHECK(f.proxy->waiting() == 200);
  for (int i = 0; i < 4; ++i)
    f.instance("user" + std::to_string(i), "running", shell.port(), shell.port(), 2);
  f.waker.answer({Status::Ok, wakeJson("user0", shell.port(), 3), ""});
  for (int i = 0; i < 200; ++i) {
    const auto answer = clients[static_cast<std::size_t>(i)].readResponse();
    REQUIRE(answer.status == 200);
    REQUIRE(answer.body.find("GET /" + std::to_string(i) + " ") == 0);
  }
  CHECK(f.proxy->waiting() == 0);
}

TEST_CASE("waiters are bounded per instance and in all") {
  ProxyFixture f([](matrixos::proxy::ProxyOptions &options) {
    options.waitersPerInstance = 3;
    options.waiters = 5;
  });
  std::vector<Conn> clients;
  int refused = 0;
  for (const std::string handle : {"alice", "alice", "alice", "alice", "bobby", "bobby", "bobby"}) {
    f.instance(handle, "stopped");
    const std::size_t before = f.waker.waiting();
    clients.push_back(f.connect());
    clients.back().send("GET / HTTP/1.1\r\nHost: " + handle + ".localhost\r\n\r\n");
    const bool full = (handle == "alice" && before >= 3) || before >= 5;
    if (!full) {
      REQUIRE(eventually([&] { return f.waker.waiting() == before + 1; }));
      continue;
    }
    const auto answer = clients.back().readResponse();
    CHECK(answer.status == 503);
    CHECK(answer.field("Retry-After") == "5");
    CHECK(answer.body.find("; try again in 5 seconds\"") != std::string::npos);
    // A browser sees how it stands and asks again.
    const auto page = f.connect().get("/", handle + ".localhost", "Accept: text/html\r\n");
    CHECK(page.status == 503);
    CHECK(page.field("Retry-After") == "5");
    CHECK(page.body.find("http-equiv=\"refresh\" content=\"5\"") != std::string::npos);
    ++refused;
  }
  CHECK(refused == 2);
  clients.clear();
  CHECK(eventually([&] { return f.proxy->waiting() == 0; }));
}

TEST_CASE("a client that leaves no longer waits") {
  ProxyFixture f;
  f.instance("alice", "stopped");
  Conn conn = f.connect();
  conn.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  conn.close();
  CHECK(eventually([&] { return f.waker.waiting() == 0 && f.proxy->waiting() == 0; }));
  CHECK(f.waker.forgotten == 1);
  CHECK(eventually([&] { return f.proxy->connections() == 0; }));
}

TEST_CASE("a wait has an end") {
  ProxyFixture f([](matrixos::proxy::ProxyOptions &options) { options.wakeDeadline = 100ms; });
  f.instance("alice", "stopped");
  Conn conn = f.connect();
  CHECK(conn.get("/", "alice.localhost").status == 504);
  CHECK(f.waker.forgotten == 1);
  CHECK(conn.get("/", "nobody.localhost").status == 404); // the connection lives on
}

TEST_CASE("without a lifecycle a sleeper is 503") {
  ProxyFixture f({}, false);
  f.instance("alice", "stopped");
  CHECK(f.connect().get("/", "alice.localhost").status == 503);
}

TEST_CASE("a WebSocket waits for its instance too") {
  Upstream gateway([](Conn &conn) {
    conn.readHead();
    conn.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    conn.send(std::string("\x81\x02hi", 4));
    conn.readHead();
  });
  ProxyFixture f;
  f.instance("alice", "stopped");
  Conn conn = f.connect();
  conn.send("GET /ws HTTP/1.1\r\nHost: alice.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
  f.waker.answer({Status::Ok, wakeJson("alice", gateway.port()), ""});
  CHECK(conn.readHead().substr(0, 12) == "HTTP/1.1 101");
  CHECK(conn.readExactly(4) == std::string("\x81\x02hi", 4));
}

TEST_CASE("a browser that goes to a page sees how the start goes, and the start goes on without it") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](auto &o) { o.waitingPageAfter = 50ms; });
  f.instance("alice", "stopped");
  f.instance("bob", "stopped");
  const std::string navigation = "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n";
  Conn browser = f.connect();
  const auto first = browser.get("/deep/link", "alice.localhost", navigation);
  CHECK(first.status == 503);
  CHECK(first.field("Retry-After") == "1");
  CHECK(first.field("Cache-Control") == "no-store");
  CHECK(first.body.find("alice is waking up") != std::string::npos);
  CHECK(first.body.find("<noscript><meta http-equiv=\"refresh\" content=\"1\"></noscript>") != std::string::npos);
  CHECK(first.body.find("It went to sleep because nobody was using it.") != std::string::npos);
  CHECK(first.body.find("<ol aria-live=\"polite\"") != std::string::npos);
  CHECK(first.body.find("<li class=\"now\" aria-current=\"step\">Waiting for its turn</li>") != std::string::npos);
  CHECK(f.waker.forgotten == 0);
  CHECK(f.proxy->waiting() == 1); // its place stays taken

  // It asks again: one wake is enough. What the engine does shows.
  matrixos::InstanceRecord starting = recordOf("alice", "stopped", 2);
  starting.phase = matrixos::InstancePhase::Starting;
  f.routes.apply(starting);
  const auto second = browser.get("/deep/link", "alice.localhost", navigation);
  CHECK(second.body.find("aria-current=\"step\">Starting</li>") != std::string::npos);
  CHECK(f.waker.waiting() == 1);
  CHECK(f.proxy->waiting() == 1);

  // The next sleeper stands behind her.
  const auto other = f.connect().get("/", "bob.localhost", "Accept: text/html\r\n");
  CHECK(other.body.find("Place 2 in the queue") != std::string::npos);

  f.waker.answer({Status::Ok, wakeJson("alice", shell.port(), 3), ""});
  CHECK(eventually([&] { return f.proxy->waiting() == 0; }));
  f.instance("alice", "running", shell.port(), shell.port(), 4);
  CHECK(browser.get("/deep/link", "alice.localhost", navigation).status == 200);
}

TEST_CASE("the waiting page has one script, its policy admits no other, and it looks without disturbing the instance") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](auto &o) { o.waitingPageAfter = 50ms; });
  f.instance("alice", "stopped");
  const std::string navigation = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n";
  Conn browser = f.connect();
  const auto page = browser.get("/login?code=once", "alice.localhost", navigation);
  const std::size_t begin = page.body.find("<script>") + 8;
  const std::string script = page.body.substr(begin, page.body.find("</script>") - begin);
  CHECK(script.size() < 1300);
  CHECK(page.body.find("<script", begin) == std::string::npos);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  ::SHA256(reinterpret_cast<const unsigned char *>(script.data()), script.size(), digest.data());
  const std::string hash = matrixos::base64Encode({reinterpret_cast<const char *>(digest.data()), digest.size()});
  CHECK(page.field("Content-Security-Policy").find("; connect-src 'self'; script-src 'sha256-" + hash + "'") !=
        std::string::npos);
  CHECK(page.body.find("data-look=\"/.matrixos/waiting\"") != std::string::npos);

  const std::string look = "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n";
  const auto waits = browser.get("/.matrixos/waiting", "alice.localhost", look);
  CHECK(waits.status == 503);
  CHECK(waits.field("Retry-After") == "1");
  CHECK(waits.body.find("<ol aria-live") != std::string::npos);
  CHECK(f.waker.waiting() == 1);
  SUBCASE("until it runs") {
    f.instance("alice", "running", shell.port(), shell.port(), 4);
    f.waker.answer({Status::Ok, wakeJson("alice", shell.port(), 4), ""});
    CHECK(eventually([&] { return f.proxy->waiting() == 0; }));
    CHECK(browser.get("/.matrixos/waiting", "alice.localhost", look).status == 204);
    CHECK(shell.accepted() == 0);
  }
  SUBCASE("or has failed, which is told once") {
    matrixos::proxy::WakeResult ends{Status::Unavailable, "", "INSTANCE_ENDS"};
    ends.ended = "its program ended with exit code 3";
    const int calls = f.waker.calls;
    f.waker.answer(ends);
    CHECK(eventually([&] { return f.proxy->waiting() == 0; }));
    const auto failed = browser.get("/.matrixos/waiting", "alice.localhost", look);
    CHECK(failed.status == 503);
    CHECK(failed.body.find("ended with exit code 3 (INSTANCE_ENDS); try again in 5 seconds.") != std::string::npos);
    CHECK(failed.body.find("<ol") == std::string::npos);
    CHECK(f.waker.calls == calls);
    CHECK(browser.get("/", "alice.localhost", navigation).body.find("is waking up") != std::string::npos);
  }
  SUBCASE("under a path too") {
    const auto under = browser.get("/proxy/alice/.matrixos/waiting", "localhost", look);
    CHECK(under.body.find("data-look=\"/proxy/alice/.matrixos/waiting\"") != std::string::npos);
  }
}

TEST_CASE("scripts and forms wait instead of getting a page") {
  Upstream shell(Upstream::echo);
  ProxyFixture f([](auto &o) { o.waitingPageAfter = 50ms; });
  for (const std::string &request :
       {std::string("GET / HTTP/1.1\r\nSec-Fetch-Mode: cors\r\nAccept: text/html\r\n"),
        std::string("GET / HTTP/1.1\r\nAccept: */*\r\n"),
        std::string("POST / HTTP/1.1\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\nContent-Length: 0\r\n")}) {
    CAPTURE(request);
    f.instance("alice", "stopped", 0, 0, 10);
    Conn conn = f.connect();
    conn.send(request + "Host: alice.localhost\r\n\r\n");
    REQUIRE(eventually([&] { return f.waker.waiting() == 1; }));
    // Somebody who came later got a page meanwhile.
    CHECK(f.connect().get("/", "alice.localhost", "Accept: text/html\r\n").status == 503);
    f.waker.answer({Status::Ok, wakeJson("alice", shell.port(), 10), ""});
    CHECK(conn.readResponse().status == 200);
  }
}

TEST_CASE("a wake that browsers left behind is let go of when the proxy ends") {
  ProxyFixture f([](auto &o) { o.waitingPageAfter = 1ms; });
  f.instance("alice", "stopped");
  CHECK(f.connect().get("/", "alice.localhost", "Accept: text/html\r\n").status == 503);
  CHECK(f.waker.waiting() == 1);
  f.proxy->stop(0ms);
  CHECK(f.waker.waiting() == 0);
  CHECK(f.proxy->waiting() == 0);
}
