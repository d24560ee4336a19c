#include <doctest/doctest.h>
#include <http/codec/ResponseParser.h>
#include <sdk/http/MalformedMessages.h>

#include <string>
#include <vector>

using namespace matrixos::http;

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
  const std::vector<std::string> bad = edgetest::malformedResponses();
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
      // RFC 9112 §6.3: no body, whatever is said, and no trust in what may follow.
      {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, BodyKind::None, 0, false},
      {"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", false, BodyKind::None, 0, false},
      {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, BodyKind::None, 0, false},
      {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, BodyKind::None, 0, false},
      {"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", false, BodyKind::None, 0, false},
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
