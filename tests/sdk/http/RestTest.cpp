/// The rest of an answer whose client has gone is read: every byte once, and one end.
#include "Lab.h"

#include <doctest/doctest.h>

using namespace lab;
using namespace std::chrono_literals;

namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kBody = "event: one\n\ndata: two\n\n";

struct Row {
  std::string answer;
  std::string body = kBody;
  bool closes = false;
  std::size_t kept = 1; // connections in the pool afterwards
  int status = 200;
  std::string request = kGet;
};

const std::vector<Row> &rows() {
  static const std::vector<Row> all{
      {"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n" + kBody},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n" + kBody.substr(0, 5) + "\r\n12\r\n" +
       kBody.substr(5) + "\r\n0\r\nT: v\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\n\r\n" + kBody, kBody, true, 0},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 529 Overloaded\r\n"
       "Content-Length: 3\r\n\r\nbad",
       "bad", false, 1, 529},
      {"HTTP/1.1 200 OK\r\nContent-Length: 23\r\nConnection: close\r\n\r\n" + kBody, kBody, false, 0},
      {"HTTP/1.1 204 No Content\r\n\r\n", "", false, 1, 204},
      {"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n", "", false, 1, 200, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"},
  };
  return all;
}

/// The client goes when that much of the answer has come.
void leaveAt(Lab &lab, const Row &row, std::size_t cut) {
  auto [client, upstream] = lab.exchange(row.request);
  upstream.send(row.answer.substr(0, cut));
  for (int i = 0; i < 3; ++i)
    lab.turn();
  client.reset();
  REQUIRE(lab.until([&] { return lab.finished.size() == 1; }));
  REQUIRE(lab.asked == 1);
  upstream.send(row.answer.substr(cut));
  if (row.closes) upstream.close();
  REQUIRE(lab.until([&] { return lab.rest.ends() == 1; }));
  CHECK(lab.loop().upstreams().size() == row.kept);
  lab.turn();
  CHECK(lab.restsAlive == 0);
}

} // namespace

TEST_CASE("a client may leave at any byte of an answer: what it missed is read, and nothing twice") {
  for (const Row &row : rows()) {
    std::size_t inside = 0;
    for (std::size_t cut = 0; cut < row.answer.size(); ++cut) {
      CAPTURE(row.answer);
      CAPTURE(cut);
      Lab lab;
      lab.readRests();
      leaveAt(lab, row, cut);
      CHECK(lab.told.payload + lab.rest.payload == row.body);
      CHECK(lab.told.ends() == 0); // the other one was told
      CHECK(lab.rest.complete == 1);
      CHECK(lab.rest.heads == (lab.told.status == row.status ? 0 : 1));
      CHECK(std::max(lab.rest.status, lab.told.status) == row.status);
      inside += lab.told.payload.empty() ? 0 : 1;
    }
    CHECK(inside + 1 >= row.body.size() / 2); // chunks' framing aside, each place was met
  }
}

TEST_CASE("a request that was taken and sent again is no different") {
  Lab lab;
  lab.taken = true;
  lab.readRests();
  auto [client, upstream] = lab.exchange("POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  CHECK(lab.until([&u = upstream] { return u.received().substr(u.received().find("\r\n\r\n")) == "\r\n\r\nbody"; }));
  client.reset();
  CHECK(lab.until([&] { return lab.finished.size() == 1; }));
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(lab.until([&] { return lab.rest.complete == 1; }));
  CHECK(lab.rest.payload == "hello");
}

TEST_CASE("a connection on which the rest was read serves the next request, unless more came than was asked for") {
  for (const bool more : {false, true}) {
    CAPTURE(more);
    Lab lab;
    lab.readRests();
    auto [client, upstream] = lab.exchange(kGet);
    client.reset();
    CHECK(lab.until([&] { return lab.finished.size() == 1; }));
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" + std::string(more ? "x" : ""));
    CHECK(lab.until([&] { return lab.rest.complete == 1; }));
    CHECK(lab.loop().upstreams().size() == (more ? 0 : 1));
    if (more) {
      CHECK(lab.until([&u = upstream] { return u.closed(); }));
      continue;
    }
    const std::size_t before = upstream.received().size();
    End next = lab.client(kGet);
    CHECK(lab.until([&u = upstream, before] { return u.received().size() > before; }));
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown");
    CHECK(lab.until([&] { return lab.told.complete == 1; }));
    CHECK(lab.told.payload == "own");
  }
}

TEST_CASE("a session that breaks an answer off from inside a callback has the rest read as well") {
  enum class Where { Head, Piece, Bytes };
  for (const Where where : {Where::Head, Where::Piece, Where::Bytes}) {
    for (const Row &row : rows()) {
      if (where != Where::Head && row.body.empty()) continue;
      CAPTURE(static_cast<int>(where));
      CAPTURE(row.answer);
      Lab lab;
      lab.readRests();
      if (where == Where::Head) {
        lab.onHead = [&](ClientExchange &exchange) {
          if (lab.told.status >= 200) exchange.abort("it will not do");
        };
      }
      if (where == Where::Piece) lab.onPiece = [](ClientExchange &exchange, std::string_view) { exchange.abort("no"); };
      if (where == Where::Bytes) lab.onBytes = [](ClientExchange &exchange) { exchange.abort("no"); };
      auto [client, upstream] = lab.exchange(row.request);
      upstream.send(row.answer);
      if (row.closes) upstream.close();
      REQUIRE(lab.until([&] { return lab.finished.size() == 1; }));
      lab.soon();
      REQUIRE(lab.until([&] { return lab.rest.ends() == 1; }));
      CHECK(lab.rest.complete == 1);
      CHECK(lab.told.payload + lab.rest.payload == row.body);
      CHECK(lab.rest.heads == (where == Where::Head ? 1 : 0));
      CHECK(lab.told.ends() == 0);
      CHECK(lab.until([&c = client] { return c.closed(); }));
    }
  }
}

TEST_CASE("a session that breaks an exchange off while it is asked is asked nothing more") {
  enum class Where { Current, Request, Accept, Decline, Interim, Tunnel, Upgraded };
  for (const Where where : {Where::Current, Where::Request, Where::Accept, Where::Decline, Where::Interim,
                            Where::Tunnel, Where::Upgraded}) {
    CAPTURE(static_cast<int>(where));
    Lab lab;
    const auto stop = [](ClientExchange &exchange) { exchange.abort("no"); };
    if (where == Where::Current) lab.onCurrent = stop;
    if (where == Where::Request) lab.onRequestHead = stop;
    if (where == Where::Interim || where == Where::Tunnel) lab.onHead = stop;
    if (where == Where::Upgraded) lab.onSocket = stop;
    lab.accepts = [&](ClientExchange &exchange) {
      stop(exchange);
      return where == Where::Accept;
    };
    const bool socket = where == Where::Tunnel || where == Where::Upgraded;
    End client =
        lab.client(!socket ? kGet
                           : "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    if (where != Where::Current && where != Where::Request) {
      End upstream = lab.upstream();
      upstream.send(socket ? "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                           : std::string(where == Where::Interim ? "HTTP/1.1 103 Early Hints\r\n\r\n" : "") +
                                 "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n" + kBody);
      CHECK(lab.until([&] { return upstream.closed(); }));
    }
    CHECK(lab.until([&] { return client.closed(); }));
    CHECK(lab.finished.size() == 1);
    CHECK(lab.failed == 0);
    CHECK(lab.told.heads == (where == Where::Interim || socket ? 1 : 0));
    bool served = false; // others are, as before
    lab.onCurrent = nullptr;
    lab.onRequestHead = [&](ClientExchange &) { served = true; };
    End next = lab.client(kGet);
    CHECK(lab.until([&] { return served; }));
  }
}

TEST_CASE("a client that reads too slowly is cut, and the rest is read") {
  Lab lab;
  lab.readRests(10s, 100'000'000);
  auto [client, upstream] = lab.exchange(kGet);
  constexpr std::size_t kSize = 8'000'000;
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
  std::size_t sent = 0;
  const std::string block(16'384, 'x');
  const auto say = [&, &u = upstream] { sent += u.sendSome(std::string_view(block).substr(0, kSize - sent)); };
  int refused = 0;
  REQUIRE(lab.until([&] {
    const std::size_t before = sent;
    say();
    refused = sent == before ? refused + 1 : 0;
    return refused == 50;
  }));
  REQUIRE(sent < kSize);
  lab.pass(matrixos::http::Timeouts{}.requestBody + 1s);
  REQUIRE(lab.finished.size() == 1);
  CHECK(lab.asked == 1);
  lab.soon();
  CHECK(lab.until([&] {
    say();
    return lab.rest.ends() == 1;
  }));
  CHECK(lab.rest.complete == 1);
  CHECK(lab.told.payload.size() + lab.rest.payload.size() == kSize);
}

TEST_CASE("a client that only half-closes still gets its answer; one that closed is found to have left") {
  Lab lab;
  lab.readRests();
  auto [client, upstream] = lab.exchange(kGet);
  client.halfClose();
  upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  CHECK(lab.until([&] { return lab.told.payload == "hello"; }));
  upstream.send("hello");
  CHECK(lab.until([&] { return lab.told.complete == 1; }));
  CHECK(lab.until([&c = client] { return c.closed(); }));
  CHECK(lab.asked == 0);

  Lab left;
  left.readRests();
  auto [gone, other] = left.exchange(kGet);
  gone.close();
  other.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
  std::size_t sent = 0;
  CHECK(left.until([&, &o = other] {
    if (left.asked == 0) {
      o.send("x");
      ++sent;
    }
    return left.asked == 1;
  }));
  left.soon();
  other.send(std::string(1'000'000 - sent, 'x'));
  CHECK(left.until([&] { return left.rest.ends() == 1; }));
}

TEST_CASE("nobody is asked where there is no rest, or the request was not sent whole") {
  SUBCASE("the upstream breaks off") {
    Lab lab;
    lab.readRests();
    auto [client, upstream] = lab.exchange(kGet);
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
    upstream.close();
    CHECK(lab.until([&] { return lab.finished.size() == 1; }));
    CHECK(lab.told.broken == 1);
    CHECK(lab.asked == 0);
  }
  SUBCASE("it says what is no answer") {
    Lab lab;
    lab.readRests();
    auto [client, upstream] = lab.exchange(kGet);
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    CHECK(lab.until([&] { return lab.finished.size() == 1; }));
    CHECK(lab.told.broken == 1);
    CHECK(lab.asked == 0);
  }
  SUBCASE("it says nothing for as long as it may") {
    Lab lab;
    lab.readRests();
    auto [client, upstream] = lab.exchange(kGet);
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
    CHECK(lab.until([&] { return lab.told.payload == "half"; }));
    lab.pass(matrixos::http::Timeouts{}.responseBody + 1s);
    CHECK(lab.finished.size() == 1);
    CHECK(lab.told.broken == 1);
    CHECK(lab.asked == 0);
  }
  SUBCASE("half a request was sent") {
    Lab lab;
    lab.readRests();
    auto [client, upstream] = lab.exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf");
    client.reset();
    CHECK(lab.until([&] { return lab.finished.size() == 1; }));
    CHECK(lab.until([&u = upstream] { return u.closed(); }));
    CHECK(lab.asked == 0);
  }
  SUBCASE("nobody wants it") {
    Lab lab;
    auto [client, upstream] = lab.exchange(kGet);
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf");
    CHECK(lab.until([&] { return lab.told.payload == "half"; }));
    client.reset();
    CHECK(lab.until([&u = upstream] { return u.closed(); }));
    CHECK(lab.asked == 1);
    CHECK(lab.told.broken == 1);
  }
}
