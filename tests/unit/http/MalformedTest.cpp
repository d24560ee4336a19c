#include "unit/http/HttpTestSupport.h"
#include "unit/http/MalformedRequests.h"

#include <doctest/doctest.h>

using namespace httptest;
using namespace matrixos::api;

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
