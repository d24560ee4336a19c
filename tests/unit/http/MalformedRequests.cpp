#include "unit/http/MalformedRequests.h"

namespace httptest {

namespace {

using List = std::vector<Malformed>;

std::string post(const std::string &fields, const std::string &body = "hello") {
  return "POST /echo HTTP/1.1\r\nHost: api\r\n" + fields + "\r\n" + body;
}

std::string getWith(const std::string &fields) {
  return "GET /hello HTTP/1.1\r\nHost: api\r\n" + fields + "\r\n";
}

std::string chunked(const std::string &body) {
  return post("Transfer-Encoding: chunked\r\n", body);
}

void addControlBytes(List &list) {
  for (int value = 0; value <= 0x7F; ++value) {
    if (value > 0x1F && value != 0x7F) continue;
    const std::string byte(1, static_cast<char>(value));
    const std::string label = "byte " + std::to_string(value);
    if (value != '\t') list.push_back({label + " in a value", getWith("X-A: a" + byte + "b\r\n"), 400});
    list.push_back({label + " in a field name", getWith("X" + byte + "A: b\r\n"), 400});
    list.push_back({label + " in the target", "GET /he" + byte + "llo HTTP/1.1\r\nHost: api\r\n\r\n", 400});
    list.push_back({label + " in the method", "G" + byte + "ET /hello HTTP/1.1\r\nHost: api\r\n\r\n", 400});
  }
}

void addFraming(List &list) {
  const std::string chunks = "5\r\nhello\r\n0\r\n\r\n";
  list.insert(
      list.end(),
      {{"CL and TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks), 400},
       {"TE and CL", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks), 400},
       {"TE and CL 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", chunks), 400},
       {"two equal CL", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
       {"two different CL", post("Content-Length: 5\r\nContent-Length: 0\r\n"), 400},
       {"two CL, other case", post("Content-Length: 5\r\ncontent-length: 0\r\n"), 400},
       {"CL list", post("Content-Length: 5, 5\r\n"), 400},
       {"CL list without space", post("Content-Length: 0,5\r\n"), 400},
       {"negative CL", post("Content-Length: -1\r\n"), 400},
       {"CL with plus", post("Content-Length: +5\r\n"), 400},
       {"CL hexadecimal", post("Content-Length: 0x5\r\n"), 400},
       {"CL with letter", post("Content-Length: 5a\r\n"), 400},
       {"CL with inner space", post("Content-Length: 5 5\r\n"), 400},
       {"CL fraction", post("Content-Length: 5.0\r\n"), 400},
       {"CL exponent", post("Content-Length: 5e0\r\n"), 400},
       {"CL empty", post("Content-Length:\r\n"), 400},
       {"CL quoted", post("Content-Length: \"5\"\r\n"), 400},
       {"CL overflow", post("Content-Length: 18446744073709551621\r\n"), 400},
       {"CL full-width digit", post("Content-Length: \xEF\xBC\x95\r\n"), 400},
       {"CL underscore", post("Content-Length: 1_0\r\n"), 400},
       {"TE gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", chunks), 400},
       {"TE chunked, gzip", post("Transfer-Encoding: chunked, gzip\r\n", chunks), 400},
       {"TE gzip", post("Transfer-Encoding: gzip\r\n"), 400},
       {"TE identity", post("Transfer-Encoding: identity\r\n"), 400},
       {"TE xchunked", post("Transfer-Encoding: xchunked\r\n", chunks), 400},
       {"TE chunkedx", post("Transfer-Encoding: chunkedx\r\n", chunks), 400},
       {"TE quoted", post("Transfer-Encoding: \"chunked\"\r\n", chunks), 400},
       {"TE with parameter", post("Transfer-Encoding: chunked;q=1\r\n", chunks), 400},
       {"TE empty", post("Transfer-Encoding:\r\n", chunks), 400},
       {"TE comma", post("Transfer-Encoding: ,chunked\r\n", chunks), 400},
       {"TE trailing comma", post("Transfer-Encoding: chunked,\r\n", chunks), 400},
       {"TE chunked twice in one", post("Transfer-Encoding: chunked, chunked\r\n", chunks), 400},
       {"TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks), 400},
       {"TE chunked and identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunks), 400},
       {"TE vertical tab", post("Transfer-Encoding: \vchunked\r\n", chunks), 400},
       {"TE on HTTP/1.0", "POST /echo HTTP/1.0\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 400},
       {"TE on HTTP/1.0 with CL",
        "POST /echo HTTP/1.0\r\nHost: api\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunks, 400},
       {"TE on GET, gzip", getWith("Transfer-Encoding: gzip\r\n"), 400},
       {"TE name with space before colon", post("Transfer-Encoding : chunked\r\n", chunks), 400},
       {"CL name with space before colon", post("Content-Length : 5\r\n"), 400},
       {"CL name with tab before colon", post("Content-Length\t: 5\r\n"), 400},
       {"TE folded", post("Transfer-Encoding:\r\n chunked\r\n", chunks), 400},
       {"CL folded", post("Content-Length:\r\n 5\r\n"), 400},
       {"expectation unknown", post("Content-Length: 5\r\nExpect: 200-ok\r\n"), 417},
       {"expectation twice", post("Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"), 417}});
}

void addChunks(List &list) {
  list.insert(list.end(),
              {{"chunk size empty", chunked("\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size negative", chunked("-5\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size plus", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size letters", chunked("g\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size leading space", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size trailing space", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size huge", chunked("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk size wraps", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk line bare LF", chunked("5\nhello\r\n0\r\n\r\n"), 400},
               {"chunk line bare CR", chunked("5\rhello\r\n0\r\n\r\n"), 400},
               {"chunk data ends in LF", chunked("5\r\nhello\n0\r\n\r\n"), 400},
               {"chunk longer than its size", chunked("4\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunk without CRLF", chunked("5\r\nhello0\r\n\r\n"), 400},
               {"last chunk bare LF", chunked("5\r\nhello\r\n0\n\n"), 400},
               {"trailer without colon", chunked("5\r\nhello\r\n0\r\ntrailer\r\n\r\n"), 400},
               {"trailer folded", chunked("5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"), 400},
               {"trailer with NUL", chunked(std::string("0\r\nA: b\0c\r\n\r\n", 14)), 400},
               {"trailer bare LF", chunked("0\r\nA: b\n\r\n"), 400},
               {"trailer name with space", chunked("0\r\nA : b\r\n\r\n"), 400},
               {"extension with NUL", chunked(std::string("5;a\0\r\nhello\r\n0\r\n\r\n", 19)), 400},
               {"extension too long", chunked("5;" + std::string(300, 'a') + "\r\nhello\r\n0\r\n\r\n"), 400},
               {"extension bare CR", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400},
               {"chunks larger than the route takes", chunked("11171\r\n" + std::string(70001, 'x')), 413},
               {"CL larger than the route takes", post("Content-Length: 70001\r\n", std::string(70001, 'x')), 413},
               {"a body where none is taken",
                "POST /nobody HTTP/1.1\r\nHost: api\r\nContent-Length: 70001\r\n\r\n" + std::string(70001, 'x'), 413}});
}

void addLines(List &list) {
  const std::string host = "Host: api\r\n\r\n";
  list.insert(list.end(), {{"LF first", "\n" + getWith(""), 400},
                           {"space first", " GET /hello HTTP/1.1\r\n" + host, 400},
                           {"no target", "GET HTTP/1.1\r\n" + host, 400},
                           {"empty target", "GET  HTTP/1.1\r\n" + host, 400},
                           {"two spaces before the target", "GET  /hello HTTP/1.1\r\n" + host, 400},
                           {"two spaces before the version", "GET /hello  HTTP/1.1\r\n" + host, 400},
                           {"space in the target", "GET /hel lo HTTP/1.1\r\n" + host, 400},
                           {"trailing space", "GET /hello HTTP/1.1 \r\n" + host, 400},
                           {"tab as separator", "GET\t/hello\tHTTP/1.1\r\n" + host, 400},
                           {"HTTP/0.9", "GET /hello\r\n\r\n", 400},
                           {"version 0.9", "GET /hello HTTP/0.9\r\n" + host, 505},
                           {"version 1.2", "GET /hello HTTP/1.2\r\n" + host, 505},
                           {"version 2.0", "GET /hello HTTP/2.0\r\n" + host, 505},
                           {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
                           {"version lower case", "GET /hello http/1.1\r\n" + host, 400},
                           {"version 1.10", "GET /hello HTTP/1.10\r\n" + host, 400},
                           {"version 01.1", "GET /hello HTTP/01.1\r\n" + host, 400},
                           {"version 1,1", "GET /hello HTTP/1,1\r\n" + host, 400},
                           {"version 1", "GET /hello HTTP/1\r\n" + host, 400},
                           {"version HTTPS", "GET /hello HTTPS/1.1\r\n" + host, 400},
                           {"no version", "GET /hello HTTP/\r\n" + host, 400},
                           {"method with colon", "G:T /hello HTTP/1.1\r\n" + host, 400},
                           {"method with quote", "\"GET\" /hello HTTP/1.1\r\n" + host, 400},
                           {"method with bracket", "GET[] /hello HTTP/1.1\r\n" + host, 400},
                           {"method with slash", "GET/ /hello HTTP/1.1\r\n" + host, 400},
                           {"method not ASCII", "G\xC3\x89T /hello HTTP/1.1\r\n" + host, 400},
                           {"method too long", std::string(33, 'A') + " /hello HTTP/1.1\r\n" + host, 400},
                           {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
                           {"target relative", "GET hello HTTP/1.1\r\n" + host, 400},
                           {"target authority", "CONNECT api:80 HTTP/1.1\r\n" + host, 405},
                           {"target star", "GET * HTTP/1.1\r\n" + host, 400},
                           {"target fragment", "GET /hello#x HTTP/1.1\r\n" + host, 400},
                           {"target not ASCII", "GET /h\xC3\xA9llo HTTP/1.1\r\n" + host, 400},
                           {"target of another scheme", "GET ftp://api/hello HTTP/1.1\r\n" + host, 400},
                           {"target of another host", "GET http://other/hello HTTP/1.1\r\n" + host, 400},
                           {"target absolute with user", "GET http://me@api/hello HTTP/1.1\r\n" + host, 400},
                           {"line too long", "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n" + host, 414},
                           {"line without end", "GET /" + std::string(9000, 'a'), 414}});
}

void addFields(List &list) {
  const std::string line = "GET /hello HTTP/1.1\r\n";
  std::string many;
  for (int i = 0; i < 101; ++i)
    many += "X-" + std::to_string(i) + ": y\r\n";
  list.insert(list.end(), {{"no Host", line + "\r\n", 400},
                           {"two Hosts", line + "Host: api\r\nHost: api\r\n\r\n", 400},
                           {"two Hosts, other case", line + "Host: api\r\nHOST: other\r\n\r\n", 400},
                           {"empty Host", line + "Host:\r\n\r\n", 400},
                           {"Host with space before colon", line + "Host : api\r\n\r\n", 400},
                           {"Host with a path", line + "Host: api/x\r\n\r\n", 400},
                           {"Host with user", line + "Host: me@api\r\n\r\n", 400},
                           {"Host list", line + "Host: a, b\r\n\r\n", 400},
                           {"Host with space", line + "Host: a b\r\n\r\n", 400},
                           {"two Hosts on HTTP/1.0", "GET /hello HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
                           {"field without colon", getWith("Xbroken\r\n"), 400},
                           {"field without name", getWith(": x\r\n"), 400},
                           {"field name with space", getWith("X A: b\r\n"), 400},
                           {"field name with space before colon", getWith("X-A : b\r\n"), 400},
                           {"field name with tab before colon", getWith("X-A\t: b\r\n"), 400},
                           {"field name with slash", getWith("X/A: b\r\n"), 400},
                           {"field name in brackets", getWith("[X]: b\r\n"), 400},
                           {"field name not ASCII", getWith("X-\xC3\x89: b\r\n"), 400},
                           {"folded with space", getWith("X-A: b\r\n c\r\n"), 400},
                           {"folded with tab", getWith("X-A: b\r\n\tc\r\n"), 400},
                           {"folded first field", line + " Host: api\r\n\r\n", 400},
                           {"bare LF after the line", "GET /hello HTTP/1.1\nHost: api\r\n\r\n", 400},
                           {"bare LF after a field", line + "Host: api\nX: y\r\n\r\n", 400},
                           {"bare LF everywhere", "GET /hello HTTP/1.1\nHost: api\n\n", 400},
                           {"bare CR in a value", getWith("X: a\rb\r\n"), 400},
                           {"bare CR after a field", line + "Host: api\rX: y\r\n\r\n", 400},
                           {"CR CR LF", line + "Host: api\r\r\n\r\n", 400},
                           {"LF CR", line + "Host: api\n\r\n\r", 400},
                           {"end with bare LF", line + "Host: api\r\n\n", 400},
                           {"too many fields", line + "Host: api\r\n" + many + "\r\n", 431},
                           {"one huge field", getWith("X: " + std::string(40000, 'a') + "\r\n"), 431},
                           {"head without end", line + "Host: api\r\nX: " + std::string(40000, 'a'), 431},
                           {"NUL first", std::string("\0", 1) + getWith(""), 400},
                           {"a hidden request in a value", getWith("X: a\r\n\nGET /hidden HTTP/1.1\r\n"), 400}});
}

} // namespace

std::vector<Malformed> malformedRequests() {
  List list;
  addControlBytes(list);
  addFraming(list);
  addChunks(list);
  addLines(list);
  addFields(list);
  return list;
}

} // namespace httptest
