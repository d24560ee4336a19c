#include "http/RequestGate.h"

#include "unit/http/HttpTestSupport.h"
#include "unit/http/MalformedRequests.h"

#include <doctest/doctest.h>

using namespace httptest;
using namespace matrixos::api;

namespace {

RequestGate::Verdict judge(RequestGate &gate, const std::string &bytes) {
  return gate.examine(bytes);
}

} // namespace

TEST_CASE("the gate decides the same however the bytes are cut") {
  const GateLimits limits;
  for (const Malformed &item : malformedRequests()) {
    CAPTURE(item.name);
    RequestGate whole(limits);
    const auto verdict = judge(whole, item.bytes);
    RequestGate pieces(limits);
    auto last = RequestGate::Verdict::NeedMore;
    for (std::size_t n = 1; n <= item.bytes.size() && last == RequestGate::Verdict::NeedMore; ++n) {
      last = pieces.examine(std::string_view(item.bytes).substr(0, n));
    }
    CHECK(last == verdict);
    CHECK(pieces.status() == whole.status());
    CHECK(pieces.headBytes() == whole.headBytes());
  }
}

TEST_CASE("the gate admits what is well-formed and keeps it as it was") {
  const GateLimits limits;
  const std::string bytes =
      "POST /a/b%2Fc?x=1&y HTTP/1.1\r\nhost:api:80\r\nContent-Length: 005\r\nX-Word: \t=?UTF-8?B?DQpYOiB5?= \r\n"
      "X-Empty:\r\nX-Utf8: \xC3\xA9\r\nConnection: close, TE\r\n\r\nhello";
  RequestGate gate(limits);
  REQUIRE(judge(gate, bytes) == RequestGate::Verdict::Admitted);
  CHECK(gate.headBytes() == bytes.size() - 5);
  const RequestHead &head = gate.head();
  CHECK(head.method == "POST");
  CHECK(head.path() == "/a/b%2Fc");
  CHECK(head.query() == "x=1&y");
  CHECK(head.framing == BodyFraming::Length);
  CHECK(head.contentLength == 5);
  CHECK(head.find("x-word") == "=?UTF-8?B?DQpYOiB5?=");
  CHECK(head.find("X-EMPTY") == "");
  CHECK(head.find("X-Utf8") == "\xC3\xA9");
  CHECK_FALSE(head.find("X-None").has_value());
  CHECK_FALSE(head.keepAlive);
}

TEST_CASE("the gate reads absolute targets, OPTIONS *, HTTP/1.0 and chunked") {
  const GateLimits limits;
  RequestGate absolute(limits);
  REQUIRE(judge(absolute, "GET http://API/x?y HTTP/1.1\r\nHost: api\r\n\r\n") == RequestGate::Verdict::Admitted);
  CHECK(absolute.head().target == "/x?y");
  RequestGate star(limits);
  CHECK(judge(star, "OPTIONS * HTTP/1.1\r\nHost: api\r\n\r\n") == RequestGate::Verdict::Admitted);
  RequestGate old(limits);
  REQUIRE(judge(old, "GET / HTTP/1.0\r\n\r\n") == RequestGate::Verdict::Admitted);
  CHECK_FALSE(old.head().keepAlive);
  RequestGate oldKept(limits);
  REQUIRE(judge(oldKept, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") == RequestGate::Verdict::Admitted);
  CHECK(oldKept.head().keepAlive);
  RequestGate chunked(limits);
  REQUIRE(judge(chunked, "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\nExpect: 100-Continue\r\n\r\n") ==
          RequestGate::Verdict::Admitted);
  CHECK(chunked.head().framing == BodyFraming::Chunked);
  CHECK(chunked.head().expectContinue);
}

TEST_CASE("over a real socket every malformed request gets one answer, then the connection ends") {
  TestServer server;
  const auto all = malformedRequests();
  CHECK(all.size() >= 250);
  std::size_t count = 0;
  for (const Malformed &item : all) {
    CAPTURE(item.name);
    const bool unixSocket = ++count % 2 == 0;
    auto client =
        unixSocket ? std::make_unique<RawClient>(server.apiPath()) : std::make_unique<RawClient>(server.port());
    // The hidden request follows at once: whoever loses the frame executes it.
    client->send(item.bytes + get("/hidden") + get("/hidden"));
    const Answer answer = client->next();
    CHECK(answer.status == item.status);
    CHECK(answer.field("Connection") == "close");
    CHECK(answer.field("Content-Type") == "application/problem+json");
    client->finishSending();
    CHECK(statusesIn(client->rest()).empty());
  }
  CHECK(server.hidden == 0);
  CHECK(server.served == 0);
  CHECK(eventually([&] { return server.accesses().size() == count; }));
}

TEST_CASE("a malformed request after a good one ends the connection, and the good one is answered") {
  TestServer server;
  for (const Malformed &item : malformedRequests()) {
    CAPTURE(item.name);
    RawClient client(server.apiPath());
    client.send(get("/hello") + item.bytes + get("/hidden"));
    CHECK(client.next().status == 200);
    CHECK(client.next().status == item.status);
    client.finishSending();
    CHECK(statusesIn(client.rest()).empty());
  }
  CHECK(server.hidden == 0);
}
