#include <doctest/doctest.h>
#include <edge/ResponseParser.h>

#include <string>
#include <vector>

using namespace matrixos::edge;

namespace {

std::string ok(const std::string &fields) {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
}

struct Good {
  std::string text;
  bool toHead;
  BodyKind kind;
  std::uint64_t length;
  bool keepAlive;
};

} // namespace

TEST_CASE("ambiguous and malformed responses are refused") {
  std::vector<std::string> bad{
      ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
      ok("Content-Length: 5\r\nContent-Length: 5\r\n"),
      ok("Content-Length: 5\r\nContent-Length: 6\r\n"),
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n",
      ok("X : y\r\n"),
      ok(" X: y\r\n"),
      ok("X: y\r\n z\r\n"),
      ok("X\r\n"),
      ok(": y\r\n"),
      ok("X: a\rb\r\n"),
      ok("X: a\nb\r\n"),
      ok(std::string("X: a\0b\r\n", 8)),
      ok("X: \x7f\r\n"),
      ok("X Y: z\r\n"),
      ok("Connection: a b\r\n"),
      "HTTP/1.1 200 OK\nX: y\n\n",
      "HTTP/1.1 200 O\x01K\r\n\r\n",
      "HTTP/1.1 200 OK\rX\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 2x0 OK\r\n\r\n",
      "HTTP/1.1 099 No\r\n\r\n",
      "HTTP/1.1 600 No\r\n\r\n",
      "HTTP/1.1 999 No\r\n\r\n",
      "HTTP/1.1  200 OK\r\n\r\n",
      "HTTP/1.1200 OK\r\n\r\n",
      "HTTP/1.1\t200 OK\r\n\r\n",
      "HTTP/1.1 200\tOK\r\n\r\n",
      "HTTP/1.2 200 OK\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
      "http/1.1 200 OK\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      " HTTP/1.1 200 OK\r\n\r\n",
      "\r\nHTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 \r\n\r\n",
      "HTTP/1.1\r\n\r\n",
      "<html>",
      "HTTP/1.1 -20 OK\r\n\r\n",
      "HTTP/1.1 +20 OK\r\n\r\n",
      "\x15\x03\x01",
      ok("X: " + std::string(20000, 'a') + "\r\n"),
  };
  for (const char *coding :
       {"gzip", "gzip, chunked", "chunked, gzip", "xchunked", "identity", "", "chunked, chunked", "chunked;a"}) {
    bad.push_back(ok("Transfer-Encoding: " + std::string(coding) + "\r\n"));
  }
  bad.push_back(ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"));
  for (const char *length : {"-1", "+5", "5,5", "0x5", "", "5 5", "1e3", "99999999999999999999", "abc"}) {
    bad.push_back(ok("Content-Length: " + std::string(length) + "\r\n"));
  }
  std::string many;
  for (int i = 0; i < 101; ++i)
    many += "A: b\r\n";
  bad.push_back(ok(many));
  for (const std::string &text : bad) {
    CAPTURE(text);
    ResponseParser parser;
    ResponseHead head;
    CHECK(parser.parse(text, HeadLimits{}, false, head) == ParseResult::Failed);
    CHECK(parser.error().status == 502);
  }
  CHECK(bad.size() >= 60);
  MESSAGE(bad.size() << " malformed responses refused");
}

TEST_CASE("how the body of a response ends") {
  const std::vector<Good> good{
      {ok("Content-Length: 5\r\n"), false, BodyKind::Length, 5, true},
      {ok("Content-Length: 0\r\n"), false, BodyKind::Length, 0, true},
      {ok("Transfer-Encoding: chunked\r\n"), false, BodyKind::Chunked, 0, true},
      {ok(""), false, BodyKind::UntilClose, 0, false},
      {ok("Connection: close\r\nContent-Length: 5\r\n"), false, BodyKind::Length, 5, false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, BodyKind::Length, 5, false},
      {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\n", false, BodyKind::Length, 5, true},
      {ok("Content-Length: 5\r\n"), true, BodyKind::None, 0, true},
      {ok("Transfer-Encoding: chunked\r\n"), true, BodyKind::None, 0, true},
      {ok(""), true, BodyKind::None, 0, true},
      {"HTTP/1.1 204 No Content\r\n\r\n", false, BodyKind::None, 0, true},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, BodyKind::None, 0, true},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", false, BodyKind::None, 0, true},
      {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", false, BodyKind::None, 0, true},
      {"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", false, BodyKind::Length, 1, true},
      {"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n", false, BodyKind::Length, 1, true},
      {"HTTP/1.1 599 Gr\xc3\xbc\xc3\x9f\r\nContent-Length: 1\r\n\r\n", false, BodyKind::Length, 1, true},
  };
  for (const Good &row : good) {
    CAPTURE(row.text);
    for (std::size_t cut = 0; cut <= row.text.size(); ++cut) {
      ResponseParser parser;
      ResponseHead head;
      ParseResult result = parser.parse(row.text.substr(0, cut), HeadLimits{}, row.toHead, head);
      if (result == ParseResult::NeedMore) result = parser.parse(row.text, HeadLimits{}, row.toHead, head);
      REQUIRE(result == ParseResult::Complete);
      CHECK(head.body.kind == row.kind);
      CHECK(head.body.length == row.length);
      CHECK(head.keepAlive == row.keepAlive);
      CHECK(parser.size() == row.text.size());
    }
  }
}

TEST_CASE("only a whole answer to a handshake is an upgrade") {
  const auto upgrade = [](const std::string &fields) {
    ResponseParser parser;
    ResponseHead head;
    REQUIRE(parser.parse("HTTP/1.1 101 X\r\n" + fields + "\r\n", HeadLimits{}, false, head) == ParseResult::Complete);
    CHECK_FALSE(head.isInterim());
    return head.upgradeWebSocket;
  };
  CHECK(upgrade("Upgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n"));
  CHECK_FALSE(upgrade("Upgrade: h2c\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n"));
  CHECK_FALSE(upgrade("Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n"));
  CHECK_FALSE(upgrade("Upgrade: websocket\r\nConnection: upgrade\r\n"));
  CHECK_FALSE(upgrade("Connection: upgrade\r\nSec-WebSocket-Accept: x\r\n"));
}
