#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::http;

TEST_CASE("a request is answered on TCP and on both unix sockets, and the connection is kept") {
  TestServer server;
  const auto twice = [](RawClient &client) {
    for (int i = 0; i < 2; ++i) {
      REQUIRE(client.send(get("/hello")));
      const Answer answer = client.next();
      CHECK(answer.status == 200);
      CHECK(answer.body == "hello");
      CHECK(answer.field("Cache-Control") == "no-store");
      CHECK(answer.field("X-Content-Type-Options") == "nosniff");
      CHECK(answer.field("X-Request-Id").size() == 26);
      CHECK(answer.field("Connection").empty());
    }
  };
  RawClient tcp(server.port());
  RawClient api(server.apiPath());
  RawClient admin(server.adminPath());
  twice(tcp);
  twice(api);
  twice(admin);
  CHECK(server.served == 6);
  REQUIRE(eventually([&] { return server.accesses().size() == 6; }));
  const AccessRecord record = server.accesses().front();
  CHECK(record.method == "GET");
  CHECK(record.route == "/hello");
  CHECK(record.status == 200);
  CHECK(record.bytes > 100);
  CHECK(record.requestId.size() == 26);
}
