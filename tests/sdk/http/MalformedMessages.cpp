#include "sdk/http/MalformedMessages.h"

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
                            "GET javascript:x HTTP/1.1",
                            "GET \\ HTTP/1.1",
                            "GET / HTTP/1.1\rX: y",
                            "GET /\r HTTP/1.1",
                            "VERYLONGMETHODNAMETHATISNOTONE / HTTP/1.1",
                            "{ / HTTP/1.1",
                            "@ / HTTP/1.1",
                            "GET http://[::1/ HTTP/1.1",
                            "GET http://?x HTTP/1.1",
                            "GET http://./ HTTP/1.1",
                            "GET http://a../ HTTP/1.1",
                            "GET http://a:443/ HTTP/1.1",
                            "GET https://a:80/ HTTP/1.1",
                            "GET http://a:/../ HTTP/1.1 ",
                            "GET http://b?a HTTP/1.1"}) {
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
  // One or two are let pass, as any number that no client sends by accident (RFC 9112 §2.2).
  std::string lines;
  for (int i = 0; i < 33; ++i)
    lines += "\r\n";
  rows.push_back({"a flood of empty lines first", 400, lines + "GET / HTTP/1.1\r\nHost: a\r\n\r\n"});
  rows.push_back({"a bare line feed behind an empty line", 400, "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"});
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
  // An empty port is none, and a dot at the end changes nothing (RFC 3986 §3.2.3): those two are served.
  for (const char *value :
       {"",        " ",    "a b",      "a,b",   "a, b", "a/b",   "a?b",       "a@b",    "user@a",   "a:80:80",
        "a:x",     "a:-1", "a:123456", "a:8 0", "[::1", "::1",   "[::1]x",    "[::1].", "[]",       "[g::1]",
        "[::1]80", "a\\b", "a%41",     "<a>",   "a;b",  "\"a\"", "a\xc3\xa4", "a#b",    "http://a", ":80",
        "*",       "a,a",  "a\tb",     "a=b",   "(a)",  ".",     ".:80",      ":",      "a::"}) {
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

/// What smuggles requests past one parser or another, by the names these tricks have got.
std::vector<Row> smugglingRows() {
  std::vector<Row> rows;
  // TE.CL, CL.TE: a length, and a coding that only some recognise.
  for (const std::string &coding : {std::string("Transfer-Encoding: xchunked\r\n"),
                                    std::string("Transfer-Encoding:chunked\r\n"),
                                    std::string("tRANSFER-eNCODING: CHUNKED\r\n"),
                                    std::string(" Transfer-Encoding: chunked\r\n"),
                                    std::string("Transfer-Encoding\t:\tchunked\r\n"),
                                    std::string("Transfer-Encoding:\x0b"
                                                "chunked\r\n"),
                                    std::string("Transfer-Encoding:\x0c"
                                                "chunked\r\n"),
                                    std::string("Transfer-Encoding: chunked\x0c\r\n"),
                                    std::string("Transfer-Encoding: \0chunked\r\n", 29),
                                    std::string("Transfer-Encoding: \rchunked\r\n"),
                                    std::string("Transfer-Encoding\r\n : chunked\r\n"),
                                    std::string("Transfer-Encoding\r\n: chunked\r\n"),
                                    std::string("X: y\r\n\tTransfer-Encoding: chunked\r\n"),
                                    std::string("X: y\nTransfer-Encoding: chunked\r\n"),
                                    std::string("X: y\n\nTransfer-Encoding: chunked\r\n"),
                                    std::string("X: y\rTransfer-Encoding: chunked\r\n"),
                                    std::string("X: y\r\rTransfer-Encoding: chunked\r\n"),
                                    std::string("Transfer-Encoding\0: chunked\r\n", 29),
                                    std::string("Transfer-Encoding\xa0: chunked\r\n"),
                                    std::string("Transfer Encoding: chunked\r\n"),
                                    std::string("Transfer-Encoding;: chunked\r\n"),
                                    std::string("Transfer-Encoding: chunk\r\n ed\r\n"),
                                    std::string("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n"),
                                    std::string("Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n"),
                                    std::string("Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n")}) {
    rows.push_back({"a length and a coding in disguise", 400, post("Content-Length: 5\r\n" + coding)});
  }
  // CL.0, 0.CL: a length that only some recognise.
  for (const std::string &length : {std::string("Content-Length\xa0: 5\r\n"),
                                    std::string("Content-Length: \x0b"
                                                "5\r\n"),
                                    std::string("Content-Length: 5\x0c\r\n"),
                                    std::string("Content-Length: 5\0\r\n", 20),
                                    std::string("Content-Length: \r5\r\n"),
                                    std::string("Content-Length: \n5\r\n"),
                                    std::string("Content-Length:\r\n 5\r\n"),
                                    std::string("Content-Length\r\n: 5\r\n"),
                                    std::string("\rContent-Length: 5\r\n"),
                                    std::string("\x0c"
                                                "Content-Length: 5\r\n"),
                                    std::string("Content Length: 5\r\n"),
                                    std::string("X: y\nContent-Length: 5\r\n"),
                                    std::string("X: y\rContent-Length: 5\r\n"),
                                    std::string("Content-Length: 0\r\nContent-Length: 5\r\n"),
                                    std::string("Content-Length: 5\r\ncontent-length: 0\r\n"),
                                    std::string("Content-Length: 5\r\nContent-Length:\r\n"),
                                    std::string("Content-Length: -0\r\n"),
                                    std::string("Content-Length: 0o5\r\n"),
                                    std::string("Content-Length: 1_0\r\n"),
                                    std::string("Content-Length: 5, 5, 5\r\n"),
                                    std::string("Content-Length: 0, 5\r\n"),
                                    std::string("Content-Length: \xef\xbc\x95\r\n"),
                                    std::string("Content-Length: 4.0e1\r\n"),
                                    std::string("Content-Length: 5=5\r\n"),
                                    std::string("Content-Length: 000000000000000000005\r\n"),
                                    std::string("Content-Length: 4294967296x\r\n"),
                                    std::string("Content-Length: 9223372036854775808\r\n")}) {
    rows.push_back({"a length in disguise", 400, post(length)});
  }
  // An expectation that only some recognise decides whether the body is sent at all.
  for (const char *expect : {"y 100-continue", "100-continue,", ",100-continue", "100-continue;q=1", "100 continue",
                             "\"100-continue\"", "100-continuex", "100-continue, 100-continue", "100", "\x80"}) {
    rows.push_back(
        {"an expectation in disguise", 417, post("Content-Length: 5\r\nExpect: " + std::string(expect) + "\r\n")});
  }
  for (const char *expect :
       {"Expect : 100-continue\r\n", "Expect:\r\n 100-continue\r\n", " Expect: 100-continue\r\n",
        "Expect\t: 100-continue\r\n", "Expect: 100-\rcontinue\r\n", "X: y\nExpect: 100-continue\r\n"}) {
    rows.push_back({"a malformed expectation", 400, post("Content-Length: 5\r\n" + std::string(expect))});
  }
  return rows;
}

/// Two readers, two hosts.
std::vector<Row> hostRows() {
  std::vector<Row> rows;
  for (const char *fields : {"Host\t: b\r\n", " Host: b\r\n", "\tHost: b\r\n", "Host:\r\n", "HOST: b\r\n",
                             "X: y\nHost: b\r\n", "X: y\rHost: b\r\n", "Host\xa0: b\r\n", "Host\r\n: b\r\n"}) {
    rows.push_back({"a second Host in disguise", 400, get(fields)});
  }
  for (const char *value : {"a%00b", "[::1%25eth0]", "[v1.x]", "a/../b", "a\x0b", "a, b", "http://a/", "a:080808",
                            "a:8_0", "a:+80", "a:80, b:80", "a\\", "a^", "a|b", "a~b", "[::1", "[::1]]", "[::1]a:80"}) {
    rows.push_back({"a malformed Host", 400, host(value)});
  }
  for (const char *first : {"GET https://b/ HTTP/1.1",
                            "GET HTTP://b/ HTTP/1.1",
                            "GET http://a.b/ HTTP/1.1",
                            "GET http://a%2eb/ HTTP/1.1",
                            "GET http://a\\@b/ HTTP/1.1",
                            "GET http://a#@b/ HTTP/1.1",
                            "GET http://b:80@a/ HTTP/1.1",
                            "GET http:/a/ HTTP/1.1",
                            "GET http:a/ HTTP/1.1",
                            "GET http://[::1]/ HTTP/1.1",
                            "GET http:// HTTP/1.1",
                            "GET http://a,b/ HTTP/1.1",
                            "GET ws://a/ HTTP/1.1",
                            "GET file:///etc/passwd HTTP/1.1",
                            "connect a:443 HTTP/1.1",
                            "GET /a\xff HTTP/1.1",
                            "GET /\xc0\xaf HTTP/1.1",
                            "GET /a\x0b HTTP/1.1",
                            "GET /a\x0c/b HTTP/1.1",
                            "GET\xa0/ HTTP/1.1",
                            "GET /\xa0HTTP/1.1",
                            "GET / HTTP/1.1\x0b",
                            "GET / HTTP/1.1,",
                            "GET / HTTP /1.1",
                            "GET / HTTP/1 .1"}) {
    rows.push_back({"a request line of two meanings", 400, line(first)});
  }
  for (const char *first : {"CONNECT / HTTP/1.1", "CONNECT http://a/ HTTP/1.1", "TRACE * HTTP/1.1"})
    rows.push_back({"a method that is not served", 405, line(first)});
  rows.push_back({"HTTP/0.9", 400, "GET /\r\n\r\n"});
  rows.push_back({"HTTP/0.9 after an empty line", 400, "\r\nGET /\r\n\r\n"});
  rows.push_back({"an empty line that is none", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n \r\n\r\n"});
  return rows;
}

/// Too much of something.
std::vector<Row> limitRows() {
  std::string many;
  for (int i = 0; i < 101; ++i)
    many += "A: b\r\n";
  return {
      {"too many fields", 431, get(many)},
      {"a value without end", 431, get("X: " + std::string(20'000, 'y') + "\r\n")},
      {"a name without end", 431, get(std::string(20'000, 'x') + ": y\r\n")},
      {"a field without a line end", 431, "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(20'000, 'x')},
      {"a target without end", 414, line("GET /" + std::string(9'000, 'a') + " HTTP/1.1")},
      {"a method without end", 414, std::string(9'000, 'A')},
  };
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
  for (const auto &table : {framingRows(), lineRows(), fieldRows(), upgradeRows(), controlRows(), smugglingRows(),
                            hostRows(), limitRows()}) {
    for (const Row &row : table)
      all.push_back({row.what, row.status, addressed(row.text)});
  }
  return all;
}

} // namespace edgetest
