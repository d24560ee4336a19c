#include <doctest/doctest.h>
#include <http/codec/Grammar.h>
#include <http/codec/RequestParser.h>
#include <sdk/http/MalformedMessages.h>

#include <string>
#include <vector>

using namespace matrixos::http;

namespace {

std::string get(const std::string &fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string post(const std::string &fields) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n0\r\n\r\n";
}
std::string line(const std::string &first) {
  return first + "\r\nHost: a\r\n\r\n";
}
std::string host(const std::string &value) {
  return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n";
}
std::string socket(const std::string &fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + fields + "\r\n";
}
const std::string kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string kVersion = "Sec-WebSocket-Version: 13\r\n";

ParseResult parse(const std::string &text, RequestParser &parser, RequestHead &head) {
  return parser.parse(text, HeadLimits{}, head);
}

} // namespace

TEST_CASE("malformed requests are refused with the right status") {
  std::size_t rows = 0;
  for (const auto &row : edgetest::malformedRequests()) {
    CAPTURE(row.what);
    CAPTURE(row.text);
    RequestParser parser;
    RequestHead head;
    CHECK(parse(row.text, parser, head) == ParseResult::Failed);
    CHECK(parser.error().status == row.status);

    // Byte by byte the verdict is the same.
    RequestParser slow;
    ParseResult result = ParseResult::NeedMore;
    for (std::size_t size = 1; size <= row.text.size() && result == ParseResult::NeedMore; ++size) {
      result = slow.parse(std::string_view(row.text).substr(0, size), HeadLimits{}, head);
    }
    CHECK(result == ParseResult::Failed);
    CHECK(slow.error().status == row.status);
    ++rows;
  }
  CHECK(rows >= 200);
  MESSAGE(rows << " malformed requests refused");
}

TEST_CASE("good requests are read in full, in any split") {
  const std::string text =
      "\r\nPUT /a/b?c=d&e=%20 HTTP/1.1\r\nHost: Alice.Localhost:9000\r\nX-Empty:\r\nX-Blank: \t v w \t\r\n"
      "content-LENGTH: 0042\r\nTE: gzip, trailers\r\nExpect: 100-Continue\r\nX-Text: gr\xc3\xbc\xc3\x9f\r\n\r\nbody";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    RequestParser parser;
    RequestHead head;
    ParseResult result = parser.parse(std::string_view(text).substr(0, cut), HeadLimits{}, head);
    if (result == ParseResult::NeedMore) result = parser.parse(text, HeadLimits{}, head);
    REQUIRE(result == ParseResult::Complete);
    CHECK(parser.size() == text.size() - 4);
    CHECK(head.method == "PUT");
    CHECK(head.target == "/a/b?c=d&e=%20");
    CHECK(head.path() == "/a/b");
    CHECK(head.host == "Alice.Localhost:9000");
    CHECK(head.keepAlive);
    CHECK(head.expectContinue);
    CHECK(head.acceptsTrailers);
    CHECK(head.body.kind == BodyKind::Length);
    CHECK(head.body.length == 42);
    CHECK(head.fields.size() == 7);
    CHECK(std::next(head.fields.begin())->value.empty());
    CHECK(std::next(head.fields.begin(), 2)->value == "v w");
  }
}

TEST_CASE("forms of a request that are accepted") {
  struct Good {
    std::string text;
    std::string target;
    bool keepAlive;
    bool upgrade;
  };
  const std::vector<Good> good{
      {line("GET / HTTP/1.1"), "/", true, false},
      {line("GET / HTTP/1.0"), "/", false, false},
      {"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "/", false, false},
      {get("Connection: close\r\n"), "/", false, false},
      {get("Connection: x, CLOSE\r\n"), "/", false, false},
      {line("OPTIONS * HTTP/1.1"), "*", true, false},
      {line("GET http://a/x?y HTTP/1.1"), "/x?y", true, false},
      {line("GET HTTPS://A HTTP/1.1"), "/", true, false},
      {line("GET http://a?x=/y HTTP/1.1"), "/?x=/y", true, false},
      {line("GET http://A.:80/x HTTP/1.1"), "/x", true, false},
      {line("GET http://a:/x HTTP/1.1"), "/x", true, false},
      {line("GET https://a:0443/x HTTP/1.1"), "/x", true, false},
      {"GET http://a/ HTTP/1.1\r\nHost: a.:80\r\n\r\n", "/", true, false},
      {host("a:"), "/", true, false},
      {host("[::1]:"), "/", true, false},
      {"\r\n\r\n\r\n" + line("GET /lines HTTP/1.1"), "/lines", true, false},
      {line("PROPFIND /x HTTP/1.1"), "/x", true, false},
      {host("[::1]:9000"), "/", true, false},
      {host("127.0.0.1"), "/", true, false},
      {host("a.b-c.d_e."), "/", true, false},
      {post("Transfer-Encoding: Chunked\r\n"), "/", true, false},
      {socket(kKey + kVersion), "/", true, true},
      {get("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n"), "/", true, false},
      {get("Upgrade: websocket\r\n" + kKey + kVersion), "/", true, false},
      {line("GET //a//b/../c HTTP/1.1"), "//a//b/../c", true, false},
      {line("GET /{a|b}^`\"<> HTTP/1.1"), "/{a|b}^`\"<>", true, false},
  };
  for (const Good &row : good) {
    CAPTURE(row.text);
    RequestParser parser;
    RequestHead head;
    REQUIRE(parse(row.text, parser, head) == ParseResult::Complete);
    CHECK(head.target == row.target);
    CHECK(head.keepAlive == row.keepAlive);
    CHECK(head.upgradeWebSocket == row.upgrade);
  }
}

TEST_CASE("caps on the head") {
  HeadLimits limits{200, 5, 50};
  const auto status = [&](const std::string &text) {
    RequestParser parser;
    RequestHead head;
    const ParseResult result = parser.parse(text, limits, head);
    return result == ParseResult::Failed ? parser.error().status : result == ParseResult::Complete ? 200 : 0;
  };
  CHECK(status("GET /" + std::string(49, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
  CHECK(status("GET /" + std::string(50, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 414);
  CHECK(status("GET /" + std::string(100, 'a')) == 414);
  CHECK(status("GET /" + std::string(30, 'a')) == 0);
  CHECK(status(get("X: " + std::string(200, 'a') + "\r\n")) == 431);
  CHECK(status(("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(200, 'a')).substr(0, 200)) == 431);
  CHECK(status(get("A: b\r\nA: b\r\nA: b\r\nA: b\r\n")) == 200);
  CHECK(status(get("A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n")) == 431);
}
