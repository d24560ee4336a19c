#include "http/HttpInterface.h"

#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <thread>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;

namespace {

/// A plugin that speaks to the table only.
struct Plugin {
  const mos_host_http_v1 *http = nullptr;
  std::atomic<std::uint64_t> exchange{0};

  static void keep(void *ctx, std::uint64_t exchange) { static_cast<Plugin *>(ctx)->exchange = exchange; }

  mos_status add(const char *method, const char *pattern, void (*handle)(void *, std::uint64_t) = keep) {
    mos_http_route route{};
    route.method = toAbi(method);
    route.pattern = toAbi(pattern);
    route.permission = toAbi("public");
    route.max_body = 100;
    route.ctx = this;
    route.handle = handle;
    return http->add_routes(http->self, &route, 1, &error);
  }

  std::uint64_t wait() {
    std::uint64_t id = 0;
    REQUIRE(eventually([&] { return (id = exchange.exchange(0)) != 0; }));
    return id;
  }

  mos_error error{};
};

} // namespace

TEST_CASE("the ABI table carries a whole exchange") {
  TestServer server;
  std::atomic<int> around{0};
  HttpInterface interface(server.server(), {3,
                                            [&](const std::function<void()> &call) {
                                              ++around;
                                              call();
                                            },
                                            {"/*"}});
  Plugin plugin;
  plugin.http = interface.table();
  const mos_host_http_v1 &http = *plugin.http;
  CHECK(http.struct_size == sizeof(mos_host_http_v1));
  REQUIRE(plugin.add("POST", "/things/:name") == MOS_OK);
  CHECK(plugin.add("POST", "/things/:other") == MOS_ALREADY_EXISTS);
  CHECK(plugin.add("POST", "things") == MOS_INVALID_ARGUMENT);
  CHECK(plugin.add("POST", "/null", nullptr) == MOS_INVALID_ARGUMENT);

  RawClient client(server.port());
  client.send("POST /things/a%2Fb?x=1 HTTP/1.1\r\nHost: api\r\nX-Request-Id: id1\r\nContent-Length: 4\r\n\r\nbody");
  std::uint64_t id = plugin.wait();
  CHECK(around == 1);
  mos_http_request request{};
  request.struct_size = sizeof(request);
  REQUIRE(http.request(http.self, id, &request, nullptr) == MOS_OK);
  CHECK(fromAbi(request.method) == "POST");
  CHECK(fromAbi(request.path) == "/things/a/b");
  CHECK(fromAbi(request.query) == "x=1");
  CHECK(fromAbi(request.body) == "body");
  CHECK(fromAbi(request.principal).empty());
  CHECK(fromAbi(request.request_id) == "id1");
  CHECK(fromAbi(request.client) == "127.0.0.1");
  mos_http_request older{};
  older.struct_size = offsetof(mos_http_request, path);
  REQUIRE(http.request(http.self, id, &older, nullptr) == MOS_OK);
  CHECK(fromAbi(older.method) == "POST");
  CHECK(older.path.ptr == nullptr);

  mos_str value{};
  CHECK(http.param(http.self, id, toAbi("name"), &value, nullptr) == MOS_OK);
  CHECK(fromAbi(value) == "a/b");
  CHECK(http.param(http.self, id, toAbi("none"), &value, &plugin.error) == MOS_NOT_FOUND);
  CHECK(http.query_param(http.self, id, toAbi("x"), &value, nullptr) == MOS_OK);
  CHECK(fromAbi(value) == "1");
  CHECK(http.query_param(http.self, id, toAbi("y"), &value, &plugin.error) == MOS_NOT_FOUND);
  CHECK(std::string(plugin.error.reason) == "NO_PARAMETER");
  CHECK(http.header(http.self, id, toAbi("HOST"), &value, nullptr) == MOS_OK);
  CHECK(http.header(http.self, id, toAbi("X-No"), &value, &plugin.error) == MOS_NOT_FOUND);
  CHECK(std::string(plugin.error.reason) == "NO_HEADER");
  CHECK(http.gone(http.self, id) == 0);

  const mos_pair bad{toAbi("X"), toAbi("a\nb")};
  CHECK(http.respond(http.self, id, 200, {}, &bad, 1, {}, nullptr) == MOS_INVALID_ARGUMENT);
  const mos_pair good{toAbi("X-Good"), toAbi("yes")};
  CHECK(http.respond(http.self, id, 200, toAbi("text/plain"), &good, 1, toAbi("done"), nullptr) == MOS_OK);
  const Answer answer = client.next();
  CHECK(answer.body == "done");
  CHECK(answer.field("X-Good") == "yes");
  CHECK(http.respond(http.self, id, 200, {}, nullptr, 0, {}, nullptr) == MOS_NOT_FOUND);
  CHECK(http.request(http.self, id, &request, nullptr) == MOS_NOT_FOUND);
  CHECK(http.gone(http.self, id) == 1);

  client.send("POST /things/c HTTP/1.1\r\nHost: api\r\n\r\n");
  id = plugin.wait();
  mos_error what{};
  matrixos::fail(&what, Status::AlreadyExists, "taken by another", "HANDLE_TAKEN");
  CHECK(http.fail(http.self, id, &what, nullptr) == MOS_OK);
  const Answer failed = client.next();
  CHECK(failed.status == 409);
  CHECK(failed.body.find("\"error\":\"taken by another\"") != std::string::npos);
  CHECK(failed.body.find("\"reason\":\"HANDLE_TAKEN\"") != std::string::npos);

  client.send("POST /things/d HTTP/1.1\r\nHost: api\r\n\r\n");
  id = plugin.wait();
  CHECK(http.write(http.self, id, toAbi("x"), nullptr) == MOS_FAILED_PRECONDITION);
  CHECK(http.begin(http.self, id, 200, toAbi("text/plain"), nullptr, 0, nullptr) == MOS_OK);
  CHECK(http.begin(http.self, id, 200, toAbi("text/plain"), nullptr, 0, nullptr) == MOS_NOT_FOUND);
  CHECK(http.write(http.self, id, toAbi("streamed"), nullptr) == MOS_OK);
  CHECK(http.end(http.self, id, nullptr) == MOS_OK);
  CHECK(http.write(http.self, id, toAbi("x"), nullptr) == MOS_NOT_FOUND);
  CHECK(client.next().body == "streamed");
}

TEST_CASE("stale, foreign and invented exchange numbers are errors") {
  TestServer server;
  HttpInterface mine(server.server(), {3, {}, {"/*"}});
  HttpInterface other(server.server(), {4, {}, {"/*"}});
  Plugin plugin;
  plugin.http = mine.table();
  REQUIRE(plugin.add("GET", "/x") == MOS_OK);
  std::vector<std::uint64_t> old;
  RawClient client(server.port());
  mos_http_request request{};
  request.struct_size = sizeof(request);
  for (int i = 0; i < 50; ++i) {
    client.send(get("/x"));
    const std::uint64_t id = plugin.wait();
    for (const std::uint64_t stale : old)
      CHECK(mine.table()->request(&mine, stale, &request, nullptr) == MOS_NOT_FOUND);
    CHECK(other.table()->respond(&other, id, 200, {}, nullptr, 0, {}, nullptr) == MOS_NOT_FOUND);
    CHECK(mine.table()->respond(&mine, id, 204, {}, nullptr, 0, {}, nullptr) == MOS_OK);
    CHECK(client.next().status == 204);
    old.push_back(id);
  }
  for (const std::uint64_t id : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 32U, std::uint64_t{12345}}) {
    CHECK(mine.table()->request(&mine, id, &request, nullptr) == MOS_NOT_FOUND);
    CHECK(mine.table()->gone(&mine, id) == 1);
  }
}

TEST_CASE("what was borrowed stays readable after the client has gone, until the plugin answers") {
  TestServer server;
  HttpInterface interface(server.server(), {3, {}, {"/*"}});
  Plugin plugin;
  plugin.http = interface.table();
  const mos_host_http_v1 &http = *plugin.http;
  REQUIRE(plugin.add("POST", "/x") == MOS_OK);
  auto client = std::make_unique<RawClient>(server.apiPath());
  client->send("POST /x HTTP/1.1\r\nHost: api\r\nContent-Length: 8\r\n\r\nborrowed");
  const std::uint64_t id = plugin.wait();
  mos_http_request request{};
  request.struct_size = sizeof(request);
  REQUIRE(http.request(http.self, id, &request, nullptr) == MOS_OK);
  client.reset();
  REQUIRE(eventually([&] { return server.server().openRequests() == 0; }));
  CHECK(http.gone(http.self, id) == 1);
  CHECK(fromAbi(request.body) == "borrowed");
  mos_str value{};
  CHECK(http.header(http.self, id, toAbi("Host"), &value, nullptr) == MOS_NOT_FOUND);
  REQUIRE(server.server().findExchange(id) != nullptr);
  CHECK(http.respond(http.self, id, 200, {}, nullptr, 0, {}, nullptr) == MOS_NOT_FOUND);
  CHECK(server.server().findExchange(id) == nullptr);
}

TEST_CASE("a closed interface answers MOS_UNAVAILABLE") {
  TestServer server;
  HttpInterface interface(server.server(), {3, {}, {"/*"}});
  Plugin plugin;
  plugin.http = interface.table();
  REQUIRE(plugin.add("GET", "/x") == MOS_OK);
  RawClient client(server.port());
  client.send(get("/x"));
  const std::uint64_t id = plugin.wait();
  interface.close();
  CHECK(plugin.add("GET", "/y") == MOS_UNAVAILABLE);
  CHECK(interface.table()->respond(&interface, id, 200, {}, nullptr, 0, {}, nullptr) == MOS_UNAVAILABLE);
  CHECK(interface.table()->gone(&interface, id) == 1);
  CHECK(server.server().removeRoutes(3, 0ms));
  CHECK(client.next().status == 503);
}

TEST_CASE("a plugin's route is public where the operator says so, and asks for a permission that there is") {
  TestServer server;
  std::vector<std::string> demoted;
  HttpInterface interface(server.server(), {3, {}, {"/open", "/below/*"}, {}, [&](const Route &route) {
                                              demoted.push_back(route.pattern);
                                            }});
  Plugin plugin;
  plugin.http = interface.table();
  for (const char *pattern : {"/open", "/below/:name", "/opener", "/below", "/:any", "/open/more"})
    CHECK(plugin.add("GET", pattern) == MOS_OK);
  CHECK(demoted == std::vector<std::string>{"/opener", "/below", "/:any", "/open/more"});
  std::map<std::string, std::string> permissions;
  for (const RouteInfo &info : server.server().listRoutes())
    permissions[info.pattern] = info.permission;
  CHECK(permissions["/open"] == "public");
  CHECK(permissions["/below/:name"] == "public");
  CHECK(permissions["/opener"] == "operator");
  RawClient client(server.port());
  client.send(get("/opener"));
  CHECK(client.next().status == 401);
  mos_http_route route{};
  route.method = toAbi("GET");
  route.pattern = toAbi("/odd");
  route.permission = toAbi("everybody");
  route.handle = &Plugin::keep;
  CHECK(plugin.http->add_routes(plugin.http->self, &route, 1, &plugin.error) == MOS_INVALID_ARGUMENT);
  CHECK(std::string(plugin.error.message).find("\"everybody\"; there are public, signed-in") != std::string::npos);
}
