/// What an observer sees of a forwarded body is what the client gets, no more and no less, and each end of it once.
#include "Stand.h"

#include <doctest/doctest.h>
#include <http/codec/WebSocket.h>
#include <support/Wait.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace stand;
using namespace std::chrono_literals;
using matrixos::http::Upstream;
using matrixos::test::RawConnection;

namespace {

const StandOptions kObserved = [] {
  StandOptions options;
  options.observe = true;
  return options;
}();

/// Answers one request with these bytes and closes.
Peer::Script once(const std::string &bytes) {
  return [bytes](int fd) {
    if (!readHead(fd).empty()) sendAll(fd, bytes);
  };
}

} // namespace

TEST_CASE("payloads are seen without their framing, whatever that is") {
  struct Row {
    const char *answer;
    const char *body;
  };
  for (const Row &row : {
           Row{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
           Row{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: v\r\n\r\n",
               "hello"},
           Row{"HTTP/1.1 200 OK\r\n\r\nhello", "hello"},
           Row{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad", "bad"},
           Row{"HTTP/1.1 204 No Content\r\n\r\n", ""},
           Row{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
       }) {
    CAPTURE(row.answer);
    Peer server(once(row.answer));
    Stand stand(Upstream{{at(server.port())}}, kObserved);
    CHECK(stand.get().body == row.body);
    const Seen seen = stand.notes(1)[0].seen;
    CHECK(seen.response == row.body);
    CHECK(seen.complete == 1);
    CHECK(seen.broken == 0);
  }
}

TEST_CASE("a body that comes byte by byte is shown byte by byte, and is not held back") {
  const std::string events = "event: one\n\ndata: two\n\n";
  for (const bool chunked : {false, true}) {
    CAPTURE(chunked);
    std::atomic<std::size_t> delivered{0};
    Peer server([&](int fd) {
      if (readHead(fd).empty()) return;
      sendAll(fd, chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\n");
      for (std::size_t i = 0; i < events.size(); ++i) {
        sendAll(fd, (chunked ? "1\r\n" : "") + events.substr(i, 1) + (chunked ? "\r\n" : ""));
        // The next one is sent only when the client has this one.
        if (!matrixos::test::eventually([&] { return delivered > i; })) return;
      }
      if (chunked) sendAll(fd, "0\r\n\r\n");
    });
    Stand stand(Upstream{{at(server.port())}}, kObserved);
    RawConnection client(stand.port());
    client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    std::string got;
    while (got.find("\r\n\r\n") == std::string::npos)
      got += client.receive(1);
    for (std::size_t i = 0; i < events.size(); ++i) {
      CHECK(client.receive(1) == events.substr(i, 1));
      delivered = i + 1;
    }
    CHECK(client.receive(1).empty());
    const Seen seen = stand.notes(1)[0].seen;
    CHECK(seen.response == events);
    CHECK(seen.pieces == events.size());
    CHECK(seen.complete == 1);
  }
}

TEST_CASE("a body that the upstream breaks off is seen as far as it came, and as broken") {
  struct Row {
    const char *answer;
    const char *seen;
  };
  for (const Row &row : {
           Row{"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "half"},
           Row{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half"},
           // A block with an error in it is not passed on.
           Row{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n", ""},
       }) {
    CAPTURE(row.answer);
    Peer server(once(row.answer));
    Stand stand(Upstream{{at(server.port())}}, kObserved);
    CHECK(stand.get().status == 0);
    const auto notes = stand.notes(1);
    CHECK(notes[0].seen.response == row.seen);
    CHECK(notes[0].seen.broken == 1);
    CHECK(notes[0].seen.complete == 0);
    CHECK(notes[0].summary.aborted);
  }
}

TEST_CASE("a client that leaves breaks the body off") {
  std::atomic<bool> left{false};
  Peer server([&](int fd) {
    if (readHead(fd).empty()) return;
    sendAll(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    if (matrixos::test::eventually([&] { return left.load(); })) readHead(fd); // until the engine closes
  });
  Stand stand(Upstream{{at(server.port())}}, kObserved);
  {
    RawConnection client(stand.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    std::string got;
    while (got.size() < 4 || got.substr(got.size() - 4) != "half")
      got += client.receive(1);
    const linger now{1, 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  left = true;
  const auto notes = stand.notes(1);
  CHECK(notes[0].seen.response == "half");
  CHECK(notes[0].seen.broken == 1);
}

TEST_CASE("without an answer there is no end, and one after the other is seen apart") {
  Peer silent([](int fd) { readHead(fd); });
  Stand none(Upstream{{at(silent.port())}}, kObserved);
  CHECK(none.get().status == 502);
  const auto notes = none.notes(1);
  CHECK(notes[0].seen.complete + notes[0].seen.broken == 0);

  Peer server([](int fd) { serve(fd, "kept"); });
  Stand stand(Upstream{{at(server.port())}}, kObserved);
  RawConnection client(stand.port());
  for (int i = 0; i < 3; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.receiveResponse().body == "kept");
  }
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(client.receiveResponse(true).status == 200);
  const auto served = stand.notes(4);
  REQUIRE(served.size() == 4);
  for (std::size_t i = 0; i < served.size(); ++i) {
    CHECK(served[i].seen.response == (i < 3 ? "kept" : ""));
    CHECK(served[i].seen.complete == 1);
  }
}

TEST_CASE("the request's body is seen too, and both are large") {
  const std::string body = [] {
    std::string text(1'000'000, ' ');
    for (std::size_t i = 0; i < text.size(); ++i)
      text[i] = static_cast<char>('a' + i % 26);
    return text;
  }();
  Peer server([&](int fd) {
    if (readHead(fd).empty()) return;
    std::string got(body.size(), '\0');
    if (::recv(fd, got.data(), got.size(), MSG_WAITALL) != static_cast<ssize_t>(got.size())) return;
    sendAll(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(got.size()) + "\r\n\r\n" + got);
  });
  Stand stand(Upstream{{at(server.port())}}, kObserved);
  CHECK(matrixos::test::request(stand.port(), "POST", "/", {}, body).body == body);
  const Seen seen = stand.notes(1)[0].seen;
  CHECK(seen.request == body);
  CHECK(seen.response == body);
}

TEST_CASE("a WebSocket is not shown") {
  Peer server([](int fd) {
    const std::string head = readHead(fd);
    const std::size_t key = head.find("Sec-WebSocket-Key: ") + 19;
    sendAll(fd, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Accept: " +
                    matrixos::http::webSocketAccept(head.substr(key, head.find("\r\n", key) - key)) + "\r\n\r\n");
    char block[64];
    const ssize_t got = ::recv(fd, block, sizeof block, 0);
    if (got > 0) sendAll(fd, {block, static_cast<std::size_t>(got)});
  });
  Stand stand(Upstream{{at(server.port())}}, kObserved);
  RawConnection client(stand.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  std::string got;
  while (got.find("\r\n\r\n") == std::string::npos)
    got += client.receive(1);
  client.send("\x81\x02hi");
  CHECK(client.receive(4) == "\x81\x02hi");
  client.shutdownWrite();
  const auto notes = stand.notes(1);
  CHECK(notes[0].summary.upgraded);
  CHECK(notes[0].seen.response.empty());
  CHECK(notes[0].seen.request.empty());
  CHECK(notes[0].seen.complete + notes[0].seen.broken == 0);
}

TEST_CASE("an observer that throws ends its connection and no other") {
  Peer server([](int fd) { serve(fd, "hello"); });
  StandOptions options = kObserved;
  options.observerThrows = true;
  Stand stand(Upstream{{at(server.port())}}, options);
  CHECK(stand.get().status == 0);
  CHECK(stand.get().status == 0);
  for (const Note &note : stand.notes(2)) {
    CHECK(note.summary.reason == std::string("internal failure"));
    CHECK(note.seen.broken == 1);
  }
}

TEST_CASE("who does not ask for it is shown nothing") {
  Peer server([](int fd) { serve(fd, "hello"); });
  Stand stand(Upstream{{at(server.port())}});
  CHECK(stand.get().body == "hello");
  const Seen seen = stand.notes(1)[0].seen;
  CHECK(seen.response.empty());
  CHECK(seen.complete + seen.broken == 0);
}
