#include "http/Site.h"

#include "http/HttpInterface.h"
#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;

namespace {

constexpr const char *kDomain = "matrix.test";
const matrixos::http::DomainNames kNames(kDomain);

/// A plugin with a site, through the table.
struct Wiki {
  TestServer server{[](ApiServerOptions &options) { options.domain = kDomain; }};
  HttpInterface interface {
    server.server(), {
      3, {}, {
        "//wiki/*", "/things"
      }
    }
  };
  const mos_host_http_v1 &http = *interface.table();
  mos_error error{};

  mos_status add(std::vector<mos_http_file> files) {
    const mos_pair header{toAbi("X-Wiki"), toAbi("yes")};
    return http.add_files(http.self, files.data(), static_cast<std::uint32_t>(files.size()), &header, 1, &error);
  }
  mos_status addRoute(const char *pattern) {
    const mos_http_route route{
        toAbi("GET"), toAbi(pattern), toAbi("public"), toAbi("test"), 0, this, [](void *self, std::uint64_t exchange) {
          const auto &table = static_cast<Wiki *>(self)->http;
          mos_http_request request{};
          request.struct_size = sizeof request;
          table.request(table.self, exchange, &request, nullptr);
          table.respond(table.self, exchange, 200, toAbi("text/plain"), nullptr, 0, request.path, nullptr);
        }};
    return http.add_routes(http.self, &route, 1, &error);
  }
  Answer ask(const std::string &host, const std::string &path, const std::string &fields = {},
             const std::string &method = "GET") {
    RawClient client(server.port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n");
    return client.next(method == "HEAD");
  }
};

mos_http_file file(const char *path, const char *body, const char *gzip = "", std::uint32_t flags = 0) {
  return {toAbi(path), toAbi("text/plain"), toAbi(body), toAbi(gzip), flags, 0};
}

} // namespace

TEST_CASE("a host below the domain, or below localhost, names a site") {
  for (const char *host : {"wiki.matrix.test", "WIKI.Matrix.Test:8443", "wiki.localhost", "wiki.localhost:9000"})
    CHECK_MESSAGE(siteOf(host, kNames) == "wiki", host);
  for (const char *host : {"matrix.test", "api.matrix.test", "localhost", "127.0.0.1", "[::1]:80", "a.b.matrix.test",
                           "wiki.matrix.test.evil", "-wiki.matrix.test", "wiki-matrix.test", "wiki.test", ""})
    CHECK_MESSAGE(siteOf(host, kNames).empty(), host);
}

TEST_CASE("the console stands on its own host, wherever that is, and on this machine's") {
  CHECK(siteOf("console.matrix.test", kNames) == "console");
  for (const char *at : {"start.matrix.test", "Start.Example.org"}) {
    const matrixos::http::DomainNames names(kDomain, at);
    for (const char *host : {at, "console.localhost:9000"})
      CHECK_MESSAGE(siteOf(host, names) == "console", host);
    for (const char *host : {"console.matrix.test", "console.example.org", "example.org", "x.start.example.org"})
      CHECK_MESSAGE(siteOf(host, names).empty(), host);
    CHECK(siteOf("wiki.matrix.test", names) == "wiki");
  }
  // Where the domain is this machine's, there is one name of it.
  const matrixos::http::DomainNames local("localhost", "start.localhost");
  CHECK(siteOf("start.localhost", local) == "console");
  CHECK(siteOf("console.localhost", local).empty());
}

TEST_CASE_FIXTURE(Wiki, "a site has pages of its own, and the API below /api") {
  REQUIRE(addRoute("//wiki/pages/:id") == MOS_OK);
  REQUIRE(addRoute("/things") == MOS_OK);
  const Answer page = ask("wiki.matrix.test", "/pages/1");
  CHECK(page.status == 200);
  CHECK(page.body == "/pages/1");
  CHECK(page.field("content-security-policy").find("default-src 'self'") == 0);
  CHECK(page.field("cache-control") == "no-store");
  CHECK(ask("wiki.localhost:80", "/pages/1").status == 200);
  CHECK(ask("wiki.matrix.test", "/api/things").body == "/things");
  CHECK(ask("wiki.matrix.test", "/api/things").field("content-security-policy").empty());
  // On one connection, too, what is said of a page is not said of what follows.
  RawClient client(server.port());
  client.send("GET /pages/1 HTTP/1.1\r\nHost: wiki.localhost\r\n\r\n");
  CHECK_FALSE(client.next().field("content-security-policy").empty());
  client.send("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(client.next().field("content-security-policy").empty());
  // Neither is where the other is.
  CHECK(ask("wiki.matrix.test", "/things").status == 404);
  CHECK(ask("wiki.matrix.test", "/api/pages/1").status == 404);
  for (const char *path : {"/pages/1", "/%2F%2Fwiki/pages/1", "//wiki/pages/1", "/wiki/pages/1"})
    CHECK_MESSAGE(ask("localhost", path).status == 404, path);
  CHECK(ask("localhost", "/things").status == 200);
  CHECK(ask("other.matrix.test", "/pages/1").status == 404);
  CHECK(ask("wiki.matrix.test", "/pages/1", {}, "POST").status == 405);
  server.server().removeRoutes(3, kPatience);
  CHECK(ask("wiki.matrix.test", "/pages/1").status == 503);
}

TEST_CASE_FIXTURE(Wiki,
                  "files are served from memory: with a tag, compressed for who takes it so, for good where told") {
  REQUIRE(add({file("//wiki/", "hello", "HELLO"), file("//wiki/app-1.js", "code", "", MOS_FILE_IMMUTABLE)}) == MOS_OK);
  const Answer plain = ask("wiki.matrix.test", "/");
  CHECK(plain.status == 200);
  CHECK(plain.body == "hello");
  CHECK(plain.field("x-wiki") == "yes");
  CHECK(plain.field("vary") == "Accept-Encoding");
  CHECK(plain.field("cache-control") == "no-cache");
  const Answer packed = ask("wiki.matrix.test", "/", "Accept-Encoding: br, gzip;q=0.5\r\n");
  CHECK(packed.body == "HELLO");
  CHECK(packed.field("content-encoding") == "gzip");
  CHECK(packed.field("etag") != plain.field("etag"));
  CHECK(ask("wiki.matrix.test", "/", "Accept-Encoding: gzip;q=0\r\n").body == "hello");
  CHECK(ask("wiki.matrix.test", "/", "Accept-Encoding: *\r\n").body == "hello");

  CHECK(ask("wiki.matrix.test", "/", "If-None-Match: \"x\", W/" + plain.field("etag") + "\r\n").status == 304);
  CHECK(ask("wiki.matrix.test", "/", "If-None-Match: *\r\n").status == 304);
  CHECK(ask("wiki.matrix.test", "/", "If-None-Match: " + packed.field("etag") + "\r\n").status == 200);
  const Answer head = ask("wiki.matrix.test", "/", {}, "HEAD");
  CHECK(head.status == 200);
  CHECK(head.field("content-length") == "5");
  const Answer script = ask("wiki.matrix.test", "/app-1.js", "Accept-Encoding: gzip\r\n");
  CHECK(script.body == "code");
  CHECK(script.field("cache-control") == "public, max-age=31536000, immutable");
  CHECK(script.field("vary").empty());
}

TEST_CASE_FIXTURE(Wiki, "what cannot be a file or a site is refused, all of it") {
  for (const char *path : {"", "app.js", "//", "//wiki", "//WIKI/", "//-/", "//wi ki/"}) {
    CAPTURE(path);
    CHECK(add({file("//wiki/good", "x"), file(path, "x")}) == MOS_INVALID_ARGUMENT);
    CHECK(ask("wiki.matrix.test", "/good").status == 404);
  }
  // Files of a site that [api] public_routes does not have are operators'.
  REQUIRE(add({file("//blog/", "x")}) == MOS_OK);
  CHECK(ask("blog.matrix.test", "/").status == 401);
  CHECK(ask("blog.matrix.test", "/", bearer()).status == 200);
}

TEST_CASE_FIXTURE(Wiki, "a route may say more about itself") {
  REQUIRE(addRoute("/things") == MOS_OK);
  const auto describe = [&](const char *pattern, const char *operation) {
    return http.describe_route(http.self, toAbi("GET"), toAbi(pattern), toAbi(operation), &error);
  };
  CHECK(describe("/things", R"({"operationId":"listThings","responses":{"200":{"description":"All."}}})") == MOS_OK);
  CHECK(describe("/others", "{}") == MOS_NOT_FOUND);
  CHECK(describe("/things", "[1]") == MOS_INVALID_ARGUMENT);
  CHECK(describe("/things", R"({"x":1})") == MOS_INVALID_ARGUMENT);
  for (const RouteInfo &route : server.server().listRoutes())
    if (route.pattern == "/things") CHECK(route.operation.find("listThings") != std::string::npos);
}
