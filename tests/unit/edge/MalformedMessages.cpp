#include "unit/edge/MalformedMessages.h"

#include <string_view>

namespace edgetest {

namespace {

using Row = MalformedRequest;

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

/// Each control byte in each part of a head.
std::vector<Row> controlRows() {
  std::vector<Row> rows;
  for (int value = 0; value <= 0x7F; ++value) {
    if (value > 0x1F && value != 0x7F) continue;
    const std::string byte(1, static_cast<char>(value));
    if (value != '\t') rows.push_back({"a control byte in a value", 400, get("X: a" + byte + "b\r\n")});
    rows.push_back({"a control byte in a name", 400, get("X" + byte + "A: b\r\n")});
    rows.push_back({"a control byte in the target", 400, line("GET /a" + byte + "b HTTP/1.1")});
    rows.push_back({"a control byte in the method", 400, line("G" + byte + "ET / HTTP/1.1")});
  }
  return rows;
}

/// The rows are written with a short Host, which nobody serves.
std::string addressed(std::string text) {
  constexpr std::string_view kShort = "Host: a\r\n";
  for (std::size_t at = text.find(kShort); at != std::string::npos; at = text.find(kShort, at + 1))
    text.replace(at + 6, 1, kHost);
  return text;
}

} // namespace

std::vector<MalformedRequest> malformedRequests() {
  std::vector<Row> all;
  for (const auto &table : {framingRows(), lineRows(), fieldRows(), upgradeRows(), controlRows()}) {
    for (const Row &row : table)
      all.push_back({row.what, row.status, addressed(row.text)});
  }
  return all;
}

std::vector<std::string> malformedChunks() {
  std::vector<std::string> bad{"\r\n",
                               "g\r\n",
                               " 5\r\nhello\r\n0\r\n\r\n",
                               "5 \r\nhello\r\n0\r\n\r\n",
                               "5\t\r\nhello\r\n",
                               "+5\r\nhello\r\n",
                               "-5\r\nhello\r\n",
                               "0x5\r\nhello\r\n",
                               "5\nhello\r\n",
                               "5\r\rhello\r\n",
                               "5\r\nhelloX\r\n",
                               "5\r\nhello\n0\r\n\r\n",
                               "5\r\nhello\rX",
                               "5\r\nhello\r\n\r\n",
                               "1000000000000000\r\n",
                               "ffffffffffffffff\r\n",
                               "00000000000000005\r\nhello\r\n",
                               "5;a\nhello\r\n",
                               std::string("5;a\0b\r\nhello", 12),
                               "5;" + std::string(300, 'x') + "\r\n",
                               ";a\r\n",
                               "5,\r\nhello\r\n",
                               "0\r\n\n",
                               "0\r\nX : y\r\n\r\n",
                               "0\r\n X: y\r\n\r\n",
                               "0\r\nX: y\r\n z\r\n\r\n",
                               "0\r\nnocolon\r\n\r\n",
                               "0\r\n: v\r\n\r\n",
                               "0\r\nX: a\rb\r\n\r\n",
                               "0\r\nX: a\n\r\n",
                               std::string("0\r\nX: a\0\r\n\r\n", 12),
                               "0\r\nX: " + std::string(9000, 'y') + "\r\n\r\n",
                               "5\r\nhello\r\n5\r\nhello0\r\n",
                               "٣\r\n",
                               "5.\r\nhello",
                               "5 ;a\r\nhello",
                               "\"5\"\r\n"};
  std::string many = "0\r\n";
  for (int i = 0; i < 40; ++i)
    many += "X: y\r\n";
  bad.push_back(many + "\r\n");
  return bad;
}

std::vector<std::string> malformedResponses() {
  const auto ok = [](const std::string &fields) { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n"; };
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
  return bad;
}

} // namespace edgetest
