#include "sdk/http/MalformedMessages.h"

namespace edgetest {

std::vector<std::string> malformedChunks() {
  std::vector<std::string> bad{
      "\r\n", "g\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5\t\r\nhello\r\n", "+5\r\nhello\r\n",
      "-5\r\nhello\r\n", "0x5\r\nhello\r\n", "5\nhello\r\n", "5\r\rhello\r\n", "5\r\nhelloX\r\n",
      "5\r\nhello\n0\r\n\r\n", "5\r\nhello\rX", "5\r\nhello\r\n\r\n", "1000000000000000\r\n", "ffffffffffffffff\r\n",
      "00000000000000005\r\nhello\r\n", "5;a\nhello\r\n", std::string("5;a\0b\r\nhello", 12),
      "5;" + std::string(300, 'x') + "\r\n", ";a\r\n", "5,\r\nhello\r\n", "0\r\n\n", "0\r\nX : y\r\n\r\n",
      "0\r\n X: y\r\n\r\n", "0\r\nX: y\r\n z\r\n\r\n", "0\r\nnocolon\r\n\r\n", "0\r\n: v\r\n\r\n",
      "0\r\nX: a\rb\r\n\r\n", "0\r\nX: a\n\r\n", std::string("0\r\nX: a\0\r\n\r\n", 12),
      "0\r\nX: " + std::string(9000, 'y') + "\r\n\r\n", "5\r\nhello\r\n5\r\nhello0\r\n", "٣\r\n", "5.\r\nhello",
      "5 ;a\r\nhello", "\"5\"\r\n",
      // a chunk extension that ends elsewhere for others (TERM.EXT, EXT.TERM)
      "5;\r\nhello\r\n", "5;\nhello\r\n", "5;\n\r\nhello\r\n", "5;a\rb\r\nhello\r\n", "5;a\r\rhello\r\n",
      "5;a=\r\nhello\r\n", "5;=a\r\nhello\r\n", "5;a;\r\nhello\r\n", "5;;a\r\nhello\r\n", "5;a=\"\r\n\"\r\nhello\r\n",
      "5;a=\"b\r\nhello\r\n", "5;a=\"b\"c\r\nhello\r\n", "5;a=\"\\\r\nhello\r\n", "5;[a]\r\nhello\r\n",
      "5; a\r\nhello\r\n", "5;a \r\nhello\r\n", "5;a =b\r\nhello\r\n", "5;a\x7f\r\nhello\r\n", "0;\n\r\n", "0;a\n\r\n",
      // data that is longer or shorter than it was said to be (SPILL)
      "5\r\nhelloXX0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhell\r\n0\r\n\r\n", "5\r\nhello\r\r\n0\r\n\r\n",
      "5\r\nhello\n\r\n0\r\n\r\n", "5\r\nhello \r\n0\r\n\r\n",
      // sizes that are none
      "\n0\r\n\r\n", "0\n\n", "0\n\r\n", "00\n\r\n", "0 \r\n\r\n", "0x0\r\n\r\n", "-0\r\n\r\n", "+0\r\n\r\n",
      "0.0\r\n\r\n", "1_0\r\n0123456789abcdef\r\n", "5h\r\nhello", "#5\r\nhello", "[5]\r\nhello", "5 5\r\nhello",
      "5\xa0\r\nhello", "5\x0b\r\nhello", "5\r\x0b\nhello", std::string("5\0\r\nhello", 9), "ffffffff00000000f\r\n",
      "\xef\xbc\x95\r\nhello",
      // trailers
      "0\r\n\tX: y\r\n\r\n", "0\r\nX: y\n\n", "0\r\nX: y\r\n\tz\r\n\r\n", "0\r\nX\t: y\r\n\r\n",
      std::string("0\r\nX\0: y\r\n\r\n", 12), "0\r\nX: y\r\n\n", "0\r\n\rX: y\r\n\r\n",
      "0\r\nGET /trailer HTTP/1.1\r\n\r\n"};
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
      "HTTP/1.1\r200 OK\r\n\r\n",
      std::string("HTTP/1.1 200\0OK\r\n\r\n", 19),
      "HTTP/1.1 0200 OK\r\n\r\n",
      "HTTP/1.1 200OK\r\n\r\n",
      "HTTP/1.1 200\xa0OK\r\n\r\n",
      "HTTP/1.1 2 0 OK\r\n\r\n",
      "HTTP/1.1 200 OK\n\r\n",
      "HTTP/1.1 000 OK\r\n\r\n",
      "HTTP/0.9 200 OK\r\n\r\n",
      "HTTP/1.10 200 OK\r\n\r\n",
      "HTTP/01.1 200 OK\r\n\r\n",
      "HTTP/3 200 OK\r\n\r\n",
      "HTTPS/1.1 200 OK\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      ok("Content-Length : 5\r\n"),
      ok("Content-Length\t: 5\r\n"),
      ok("Content-Length:\r\n 5\r\n"),
      ok("Transfer-Encoding : chunked\r\n"),
      ok("Transfer-Encoding:\r\n chunked\r\n"),
      ok("Transfer-Encoding: \x0b"
         "chunked\r\n"),
      ok("X: y\nTransfer-Encoding: chunked\r\n"),
      ok("X: y\rContent-Length: 5\r\n"),
      ok("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
      ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
      ok("Content-Length: 0\r\ncontent-length: 5\r\n"),
      ok(std::string("Set-Cookie: a\0=b\r\n", 18)),
      ok("Set-Cookie: a=b\rSet-Cookie: c=d\r\n"),
      ok("Location: /a\nSet-Cookie: c=d\r\n"),
      ok("X\xa0: y\r\n"),
      ok("X(y): z\r\n"),
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

std::vector<LongAnswer> answersWithMore() {
  const std::string hidden = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden";
  std::string flood;
  for (int i = 0; i < 17; ++i)
    flood += "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  return {
      {"two answers", "GET", 200, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + hidden},
      {"an empty answer and another", "GET", 200, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + hidden},
      {"chunks and another answer", "GET", 200,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + hidden},
      {"an answer to HEAD with a body", "HEAD", 200, "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n" + hidden},
      {"an answer to HEAD with chunks", "HEAD", 200,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + hidden},
      {"204 with a body", "GET", 204, "HTTP/1.1 204 No Content\r\n\r\n" + hidden},
      // RFC 9112 §6.3: these end with their head, whatever it says; only their connection is not used again.
      {"204 with a length and a body", "GET", 204,
       "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello" + hidden},
      {"204 with a length that is none", "GET", 204, "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n" + hidden},
      {"204 with chunks", "GET", 204,
       "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
      {"204 with two lengths and a coding", "GET", 204,
       "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: gzip\r\n\r\n" + hidden},
      {"304 with a length and a coding", "GET", 304,
       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
      {"304 with a list of lengths", "GET", 304, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5, 5\r\n\r\n" + hidden},
      {"an interim answer with a length, and another behind the answer", "GET", 200,
       "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + hidden},
      {"304 with a body", "GET", 304, "HTTP/1.1 304 Not Modified\r\nContent-Length: 45\r\n\r\n" + hidden},
      {"an interim answer, an answer and another", "GET", 200,
       "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + hidden},
      {"100 that nobody waits for", "GET", 200, "HTTP/1.1 100 Continue\r\n\r\n" + hidden},
      {"an empty line behind", "GET", 200, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n" + hidden},
      {"a flood of interim answers", "GET", 502, flood + hidden},
      // What follows would have to be the answer.
      {"100 with a body", "GET", 502, "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + hidden},
      {"102 with chunks", "GET", 502,
       "HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
      {"103 with a body", "GET", 502, "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + hidden},
      {"101 with chunks", "GET", 502,
       "HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden},
      {"101 that nobody asked for", "GET", 502,
       "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" +
           hidden},
      {"101 of another protocol", "GET", 502,
       "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + hidden},
      {"101 without a protocol", "GET", 502, "HTTP/1.1 101 Switching Protocols\r\n\r\n" + hidden},
      {"an interim answer and nonsense", "GET", 502, "HTTP/1.1 103 Early Hints\r\n\r\nnonsense\r\n\r\n"},
  };
}

} // namespace edgetest
