#include "http/Router.h"

#include "http/PathCodec.h"
#include "http/Problem.h"
#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;

namespace {

Route plain(const std::string &method, const std::string &pattern) {
  return route(method, pattern, [](const auto &) {});
}

std::string found(const Router &router, const std::string &method, const std::string &path) {
  const RouteMatch match = router.find(method, decodePath(path));
  if (!match.entry) return "";
  std::string text = match.entry->route.method + " " + match.entry->route.pattern;
  for (std::size_t i = 0; i < match.values.size(); ++i)
    text += " " + match.entry->names[i] + "=" + match.values[i];
  return text;
}

} // namespace

TEST_CASE("routes are found by the most specific pattern that has the method") {
  Router router;
  router.add(1, {plain("GET", "/"), plain("GET", "/containers"), plain("POST", "/containers/provision"),
                 plain("GET", "/containers/:handle"), plain("POST", "/containers/:handle/start"),
                 plain("GET", "/files/*rest"), plain("GET", "/files/special")});
  CHECK(found(router, "GET", "/") == "GET /");
  CHECK(found(router, "GET", "/containers/alice") == "GET /containers/:handle handle=alice");
  CHECK(found(router, "POST", "/containers/provision") == "POST /containers/provision");
  CHECK(found(router, "GET", "/containers/provision") == "GET /containers/:handle handle=provision");
  CHECK(found(router, "POST", "/containers/provision/start") == "POST /containers/:handle/start handle=provision");
  CHECK(found(router, "GET", "/files/a/b%2Fc") == "GET /files/*rest rest=a/b/c");
  CHECK(found(router, "GET", "/files/special") == "GET /files/special");
  CHECK(found(router, "HEAD", "/containers") == "GET /containers");
  CHECK(found(router, "GET", "/containers/a%2Fb") == "GET /containers/:handle handle=a/b");
  CHECK(found(router, "GET", "/containers/%61lice") == "GET /containers/:handle handle=alice");
  for (const char *path : {"/containers/", "//containers", "/containers//x", "/none", "/files", "/files/", "/files/a/",
                           "/containers/a/start/", "/Containers"}) {
    CAPTURE(path);
    CHECK(found(router, "GET", path).empty());
    CHECK(router.find("GET", decodePath(path)).allow.empty());
  }
  const RouteMatch wrong = router.find("DELETE", decodePath("/containers/provision"));
  CHECK(wrong.allow == std::vector<std::string>{"GET", "HEAD", "OPTIONS", "POST"});
}

TEST_CASE("an owner's routes come and go as one") {
  Router router;
  router.add(1, {plain("GET", "/a"), plain("GET", "/b/:x")});
  CHECK_THROWS_AS(router.add(2, {plain("GET", "/c"), plain("GET", "/b/:other")}), Error);
  CHECK(found(router, "GET", "/c").empty());
  CHECK_THROWS_AS(router.add(1, {plain("POST", "/d"), plain("POST", "/d")}), Error);
  router.add(2, {plain("POST", "/b/:other")});
  const auto kept = router.find("GET", decodePath("/a")).entry;
  CHECK(router.remove(1) == 2);
  CHECK(kept->removed);
  CHECK(router.find("GET", decodePath("/a")).entry->removed);
  CHECK(found(router, "POST", "/b/1") == "POST /b/:other other=1");
  CHECK(router.list().size() == 1);
  CHECK(router.remove(1) == 0);
  router.add(3, {plain("GET", "/a")});
  CHECK_FALSE(router.find("GET", decodePath("/a")).entry->removed);
  CHECK(router.find("GET", decodePath("/b/1")).entry->removed);
  CHECK(router.list().size() == 2);
}

TEST_CASE("malformed routes are refused with a reason") {
  Router router;
  for (const char *pattern : {"", "a", "/a/", "//", "/a//b", "/:x/:x", "/*", "/:", "/*rest/more"}) {
    CAPTURE(pattern);
    CHECK_THROWS_AS(router.add(1, {plain("GET", pattern)}), Error);
  }
  CHECK_THROWS_AS(router.add(1, {plain("get", "/a")}), Error);
  CHECK_THROWS_AS(router.add(1, {plain("G T", "/a")}), Error);
  Route unhandled = plain("GET", "/a");
  unhandled.handle = nullptr;
  CHECK_THROWS_AS(router.add(1, {unhandled}), Error);
  CHECK(router.list().empty());
}

TEST_CASE("paths and queries are decoded once, or refused") {
  CHECK(decodePath("/a%252Fb") == std::vector<std::string>{"a%2Fb"});
  CHECK(decodePath("/a+b/%C3%A9") == std::vector<std::string>{"a+b", "\xC3\xA9"});
  for (const char *path : {"/%", "/%4", "/%zz", "/a%00b", "/a%0Ab", "/a%7F", "/%ff", "/%C3", "/%ED%A0%80", "/.", "/..",
                           "/a/../b", "/%2e%2e/b", "/.%2E", "/a/%2e"}) {
    CAPTURE(path);
    CHECK_THROWS_AS(decodePath(path), ProblemException);
  }
  const auto query = decodeQuery("a=1&b=x+y%26z&&c&a=2&=v");
  REQUIRE(query.size() == 5);
  CHECK(query[1] == std::pair<std::string, std::string>{"b", "x y&z"});
  CHECK(query[2].second.empty());
  CHECK_THROWS_AS(decodeQuery("a=%0d%0a"), ProblemException);
  CHECK_THROWS_AS(decodeQuery("a=%f"), ProblemException);
}
