/// The edge's tables of malformed messages against the API server: what stands behind another proxy is held to the
/// same.
#include "sdk/http/MalformedMessages.h"
#include "unit/http/HttpTestSupport.h"

#include <doctest/doctest.h>

#include <string_view>

using namespace httptest;

namespace {

/// What only an intermediary refuses. For a server a handshake is the request it also is, TRACE and CONNECT are methods
/// that no route has, and HTTP/1.0 knows requests without a Host (RFC 9112 §3.2).
bool concernsProxiesOnly(std::string_view what) {
  for (const std::string_view those : {"handshake", "two upgrades", "a tunnel request", "a trace request",
                                       "a method that is not served", "no Host in 1.0"}) {
    if (what.substr(0, those.size()) == those) return true;
  }
  return false;
}

} // namespace

TEST_CASE("what the edge takes for malformed, the API server refuses too, and executes nothing behind it") {
  TestServer server([](auto &options) { options.maxHead = 16 * 1024; });
  std::size_t count = 0;
  for (const auto &row : edgetest::malformedRequests()) {
    if (concernsProxiesOnly(row.what)) continue;
    CAPTURE(row.what);
    CAPTURE(row.text);
    RawClient client(server.apiPath());
    client.send(row.text + get("/hidden") + get("/hidden"));
    const Answer answer = client.next();
    CHECK(answer.status == row.status);
    CHECK(answer.field("Connection") == "close");
    client.finishSending();
    CHECK(statusesIn(client.rest()).empty());
    ++count;
  }
  CHECK(server.hidden == 0);
  CHECK(server.served == 0);
  CHECK(count >= 300);
  MESSAGE(count << " malformed requests, 0 accepted");
}

TEST_CASE("malformed chunks are refused by the API server, and nothing behind them is executed") {
  TestServer server;
  const auto rows = edgetest::malformedChunks();
  for (const std::string &body : rows) {
    CAPTURE(body);
    RawClient client(server.apiPath());
    client.send("POST /echo HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n" + body + "0\r\n\r\n" +
                get("/hidden"));
    const Answer answer = client.next();
    CHECK(answer.status == 400);
    client.finishSending();
    CHECK(statusesIn(client.rest()).empty());
  }
  CHECK(server.hidden == 0);
  MESSAGE(rows.size() << " malformed chunked bodies, 0 accepted");
}
