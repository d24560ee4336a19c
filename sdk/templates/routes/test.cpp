// Calls the plugin's routes, looks into its table, and lets hours pass.
#include <matrixos/testing.hpp>

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <chrono>

using namespace matrixos::testing;

TEST_CASE("entries are added, listed and removed, and survive a restart") {
  Host host(PLUGIN);
  host.start();
  CHECK(host.post("/routes-template", R"({"text":"hello"})").status == 201);
  CHECK(host.post("/routes-template", R"({"text":"it's \"me\""})").status == 201);
  CHECK(host.rows("SELECT id, text FROM routes_template") == "1|hello\n2|it's \"me\"\n");
  host.restart();
  const Answer all = host.get("/routes-template");
  CHECK(all.status == 200);
  CHECK(all.has(R"("id":1,"text":"hello")"));
  CHECK(all.has(R"("id":2,"text":"it's \"me\"")"));
  CHECK_FALSE(host.get("/routes-template?limit=1").has(R"("id":2)"));
  CHECK(host.request("DELETE", "/routes-template/1").status == 204);
  CHECK(host.request("DELETE", "/routes-template/1").status == 404);
  CHECK(host.rows("SELECT count(*) FROM routes_template") == "1\n");
  CHECK(host.faults() == "");
  host.stop(); // throws when something is left behind
}

TEST_CASE("what is no entry is refused") {
  Host host(PLUGIN);
  host.start();
  for (const char *body : {"", "{}", "[]", "nonsense", R"({"text":7})", R"({"text":""})"}) {
    CAPTURE(body);
    CHECK(host.post("/routes-template", body).status == 400);
  }
  CHECK(host.get("/routes-template?limit=many").status == 400);
  CHECK(host.request("GET", "/routes-template", "", {}, Who::Anyone).status == 401);
  host.stop();
}

TEST_CASE("there is a limit, which the operator sets") {
  Host host(PLUGIN);
  host.set("most_entries", "1");
  host.start();
  CHECK(host.post("/routes-template", R"({"text":"one"})").status == 201);
  CHECK(host.post("/routes-template", R"({"text":"two"})").has("FULL"));
  host.stop();
}

TEST_CASE("a limit that is none is refused, in words for the operator") {
  Host host(PLUGIN);
  host.set("most_entries", "0");
  CHECK_THROWS_WITH(host.start(), doctest::Contains("most_entries"));
}

TEST_CASE("the number of entries is published every hour") {
  Host host(PLUGIN);
  host.start();
  host.post("/routes-template", R"({"text":"hello"})");
  host.advance(std::chrono::minutes{59});
  CHECK(host.events("routes-template.").empty());
  host.advance(std::chrono::minutes{121});
  CHECK(eventually([&] { return host.events("routes-template.").size() == 3; }));
  CHECK(host.events("routes-template.report").front().json == R"({"entries":1})");
  host.stop();
}
