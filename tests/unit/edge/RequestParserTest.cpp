#include <doctest/doctest.h>
#include <edge/Grammar.h>
#include <edge/RequestParser.h>

#include <string>
#include <vector>

using namespace matrixos::edge;

namespace {

struct Row {
  const char *what;
  int status;
  std::string text;
};

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
std::string socket(const std::string &fields, const std::string &method = "GET") {
  return method + " / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + fields + "\r\n";
}
const std::string kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string kVersion = "Sec-WebSocket-Version: 13\r\n";

ParseResult parse(const std::string &text, RequestParser &parser, RequestHead &head) {
  return parser.parse(text, HeadLimits{}, head);
}

std::vector<Row> framingRows() {
  std::vector<Row> rows{
      {"length and coding", 400, post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"coding and length", 400, post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
      {"coding and length 0", 400, post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")},
      {"two different lengths", 400, post("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"two equal lengths", 400, post("Content-Length: 5\r\nContent-Length: 5\r\n")},
      {"coding in 1.0", 400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"coding twice", 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"coding then identity", 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
      {"blank before the colon of a length", 400, post("Content-Length : 5\r\n")},
      {"blank before the colon of a coding", 400, post("Transfer-Encoding : chunked\r\n")},
      {"tab before the colon of a coding", 400, post("Transfer-Encoding\t: chunked\r\n")},
      {"folded coding", 400, post("Transfer-Encoding:\r\n chunked\r\n")},
      {"folded length", 400, post("Content-Length:\r\n\t5\r\n")},
      {"coding with a vertical tab", 400,
       post("Transfer-Encoding: \x0b"
            "chunked\r\n")},
      {"coding with a bare CR", 400, post("Transfer-Encoding: chunked\rX: y\r\n")},
      {"coding after a bare CR", 400, post("X: y\rTransfer-Encoding: chunked\r\n")},
      {"coding with a NUL", 400, post(std::string("Transfer-Encoding: chunked\0\r\n", 29))},
  };
  for (const char *coding : {"gzip",
                             "gzip, chunked",
                             "chunked, gzip",
                             "chunked, chunked",
                             "xchunked",
                             "chunkedx",
                             "identity",
                             "chunked;q=1",
                             "chunked,",
                             ",chunked",
                             "\"chunked\"",
                             "'chunked'",
                             "chunk",
                             "",
                             "x",
                             "chunked identity",
                             "chunked\xa0",
                             "cow",
                             "chunked, identity",
                             "deflate"}) {
    rows.push_back({"a coding other than chunked", 400, post("Transfer-Encoding: " + std::string(coding) + "\r\n")});
  }
  for (const char *length : {"-1",
                             "+5",
                             "5,5",
                             "5, 5",
                             "5;",
                             "0x5",
                             "5.0",
                             "1e3",
                             "five",
                             "",
                             " ",
                             "5 5",
                             "\"5\"",
                             "1000000000000000000",
                             "18446744073709551616",
                             "99999999999999999999999999",
                             "5\t6",
                             "٥",
                             "5,6",
                             ",5",
                             "5,"}) {
    rows.push_back({"a length that is no number", 400, post("Content-Length: " + std::string(length) + "\r\n")});
  }
  return rows;
}

std::vector<Row> lineRows() {
  std::vector<Row> rows;
  for (const char *first : {"GET /",
                            "GET",
                            "GET  / HTTP/1.1",
                            "GET / HTTP/1.1 ",
                            " GET / HTTP/1.1",
                            "GET /  HTTP/1.1",
                            "GET\t/\tHTTP/1.1",
                            "GET / http/1.1",
                            "GET / HTTP/1",
                            "GET / HTTP/11",
                            "GET / HTTP/1.1.1",
                            "GET / HTTP/1,1",
                            "GET / HTTP 1.1",
                            "GET / HTTPS/1.1",
                            "GET / HTTP/1.x",
                            "GET / HTTP/x.1",
                            "GET / HTTP/01.1",
                            "GET / HTTP/1.01",
                            "GET / HTTP/-1.1",
                            "GET / ",
                            "/ HTTP/1.1",
                            "G(T / HTTP/1.1",
                            "GET: / HTTP/1.1",
                            "\"GET\" / HTTP/1.1",
                            "G\x80T / HTTP/1.1",
                            "GET /a b HTTP/1.1",
                            "GET /a\tb HTTP/1.1",
                            "GET /\x01 HTTP/1.1",
                            "GET /\x7f HTTP/1.1",
                            "GET /\xc3\xa4 HTTP/1.1",
                            "GET /#x HTTP/1.1",
                            "GET a HTTP/1.1",
                            "GET ?a HTTP/1.1",
                            "GET * HTTP/1.1",
                            "POST * HTTP/1.1",
                            "GET a:80 HTTP/1.1",
                            "GET ftp://a/ HTTP/1.1",
                            "GET http:///x HTTP/1.1",
                            "GET http://user@a/ HTTP/1.1",
                            "GET http://b/ HTTP/1.1",
                            "GET http://a:81/ HTTP/1.1",
                            "GET http://a?x HTTP/1.1",
                            "GET javascript:x HTTP/1.1",
                            "GET \\ HTTP/1.1",
                            "GET / HTTP/1.1\rX: y",
                            "GET /\r HTTP/1.1",
                            "VERYLONGMETHODNAMETHATISNOTONE / HTTP/1.1",
                            "{ / HTTP/1.1",
                            "@ / HTTP/1.1",
                            "GET http://[::1/ HTTP/1.1"}) {
    rows.push_back({"a malformed request line", 400, line(first)});
  }
  for (const char *version : {"HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "HTTP/0.0"}) {
    rows.push_back({"another version", 505, line("GET / " + std::string(version))});
  }
  rows.push_back({"a tunnel request", 405, line("CONNECT a:443 HTTP/1.1")});
  rows.push_back({"a trace request", 405, line("TRACE / HTTP/1.1")});
  rows.push_back({"a NUL in the target", 400, line(std::string("GET /\0 HTTP/1.1", 15))});
  rows.push_back({"a TLS greeting", 400, std::string("\x16\x03\x01\x02\x00\x01", 6)});
  rows.push_back({"an HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"});
  rows.push_back({"two empty lines first", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"});
  rows.push_back({"bare line feeds", 400, "GET / HTTP/1.1\nHost: a\n\n"});
  rows.push_back({"a bare line feed after the line", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n"});
  rows.push_back({"a bare line feed at the end", 400, "GET / HTTP/1.1\r\nHost: a\r\n\n"});
  rows.push_back({"a bare line feed first", 400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"});
  rows.push_back({"only carriage returns", 400, "GET / HTTP/1.1\rHost: a\r\r\r\n\r\n"});
  return rows;
}

std::vector<Row> fieldRows() {
  std::vector<Row> rows{
      {"no Host", 400, "GET / HTTP/1.1\r\n\r\n"},
      {"no Host in 1.0", 400, "GET / HTTP/1.0\r\n\r\n"},
      {"two Hosts", 400, get("Host: b\r\n")},
      {"two equal Hosts", 400, get("host: a\r\n")},
      {"Host with a blank before the colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
      {"folded Host", 400, "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n"},
      {"blank before the first field", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"tab before the first field", 400, "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"},
      {"folded field", 400, get("X: y\r\n z\r\n")},
      {"field folded with a tab", 400, get("X: y\r\n\tz\r\n")},
      {"field of a blank", 400, get(" \r\n")},
      {"no colon", 400, get("X\r\n")},
      {"no name", 400, get(": y\r\n")},
      {"blank before the colon", 400, get("X : y\r\n")},
      {"blank in the name", 400, get("X Y: z\r\n")},
      {"bare CR in a value", 400, get("X: a\rb\r\n")},
      {"bare CR at the end of a value", 400, get("X: a\r\r\n")},
      {"bare CR in a name", 400, get("X\rY: a\r\n")},
      {"bare LF in a value", 400, get("X: a\nb\r\n")},
      {"bare LF hides a field", 400, get("X: a\nTransfer-Encoding: chunked\r\n")},
      {"NUL in a name", 400, get(std::string("X\0Y: a\r\n", 8))},
      {"NUL in a value", 400, get(std::string("X: a\0b\r\n", 8))},
      {"NUL ends a value", 400, get(std::string("X: a\0\r\n", 7))},
      {"DEL in a value", 400, get("X: a\x7f\r\n")},
      {"escape in a value", 400, get("X: \x1b[31m\r\n")},
      {"backspace in a value", 400, get("X: a\bb\r\n")},
      {"form feed in a value", 400, get("X: a\fb\r\n")},
      {"high byte in a name", 400, get("X\xc3\xa4: a\r\n")},
      {"unknown expectation", 417, get("Expect: 200-ok\r\n")},
      {"expectation list", 417, get("Expect: 100-continue, x\r\n")},
      {"empty expectation", 417, get("Expect:\r\n")},
      {"Connection that is no token", 400, get("Connection: clo se\r\n")},
      {"Connection with a control", 400, get("Connection: \x01\r\n")},
      {"quoted Connection", 400, get("Connection: \"close\"\r\n")},
  };
  for (const char c : std::string("()<>@,;\\\"/[]?={} \t")) {
    rows.push_back({"a delimiter in a name", 400, get(std::string("X") + c + "Y: z\r\n")});
  }
  for (const char *value : {"",          " ",       "a b",      "a,b",     "a, b",     "a/b",   "a?b",  "a@b", "user@a",
                            "a:",        "a:80:80", "a:x",      "a:-1",    "a:123456", "a:8 0", "[::1", "::1", "[::1]x",
                            "[::1]:",    "[]",      "[g::1]",   "[::1]80", "a\\b",     "a%41",  "<a>",  "a;b", "\"a\"",
                            "a\xc3\xa4", "a#b",     "http://a", ":80",     "*",        "a,a",   "a\tb", "a=b", "(a)"}) {
    rows.push_back({"a malformed Host", 400, host(value)});
  }
  std::string options = "Connection: a";
  for (int i = 0; i < 40; ++i)
    options += ", b";
  rows.push_back({"a flood of Connection options", 400, get(options + "\r\n")});
  return rows;
}

std::vector<Row> upgradeRows() {
  return {
      {"handshake by POST", 400, socket(kKey + kVersion, "POST")},
      {"handshake with a body", 400, socket(kKey + kVersion + "Content-Length: 5\r\n")},
      {"handshake with a chunked body", 400, socket(kKey + kVersion + "Transfer-Encoding: chunked\r\n")},
      {"handshake without a key", 400, socket(kVersion)},
      {"handshake with two keys", 400, socket(kKey + kKey + kVersion)},
      {"handshake with a short key", 400, socket("Sec-WebSocket-Key: abc\r\n" + kVersion)},
      {"handshake without a version", 426, socket(kKey)},
      {"handshake of another version", 426, socket(kKey + "Sec-WebSocket-Version: 8\r\n")},
      {"two upgrades", 400, socket("Upgrade: h2c\r\n" + kKey + kVersion)},
  };
}

} // namespace

TEST_CASE("malformed requests are refused with the right status") {
  std::size_t rows = 0;
  for (const auto &table : {framingRows(), lineRows(), fieldRows(), upgradeRows()}) {
    for (const Row &row : table) {
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
