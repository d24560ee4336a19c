// How a request travels: the Host table, the split between shell and gateway, what travels along and what does not.
#include "contract/Platform.h"
#include "contract/Row.h"
#include "support/Wait.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <unistd.h>

using namespace matrixos;
using namespace matrixos::test;

namespace {

using Values = DaemonProcess::Values;

constexpr const char *kMisdirected = "this server does not answer for that host name";
constexpr const char *kNobody = "there is no such handle";
constexpr const char *kApiHealth = R"({"status":"ok"})";

/// A platform with one running instance.
struct Town {
  Platform platform{Values{{"api.auth", "secret"}}};
  std::string alice = platform.handle("alice");
  Town() { platform.provision(alice, "user_" + alice); }
  std::uint16_t port() { return platform.daemon().proxyPort(); }
};

Town &town() {
  static Town town;
  return town;
}

Headers host(const std::string &name, Headers more = {}) {
  more.insert(more.begin(), {"Host", name});
  return more;
}

/// What the instance saw: {"server", "method", "target", "headers", "body", …}.
json::Object::Ptr echoed(const Response &response) {
  REQUIRE_MESSAGE(response.status == 200, response.body);
  return json::parseObject(response.body);
}

} // namespace

TEST_CASE("the Host table") {
  const std::string alice = town().alice;
  std::string upper = alice;
  upper[0] = 'A';
  const auto instance = [&](const std::string &name) {
    return Row{.name = name, .target = "/echo", .headers = host(name), .keys = {"server", "handle"}};
  };
  const auto api = [](const std::string &name) {
    return Row{.name = name, .target = "/health", .headers = host(name), .answer = kApiHealth};
  };
  const auto nobody = [](const std::string &name) {
    return Row{.name = name, .target = "/", .headers = host(name), .status = 404, .error = kNobody};
  };
  const auto misdirected = [](const std::string &name) {
    return Row{.name = name, .target = "/health", .headers = host(name), .status = 421, .error = kMisdirected};
  };
  const auto malformed = [](const std::string &name) {
    return Row{.name = name,
               .target = "/health",
               .headers = host(name),
               .status = 400,
               .error = "the Host header is malformed"};
  };
  checkAll({instance(alice + ".matrix-os.com"),
            instance(alice + ".matrix-os.com:443"),
            instance(upper + ".Matrix-OS.com"),
            instance(alice + ".localhost"),
            instance(alice + ".localhost:9000"),
            instance(alice + ".LOCALHOST:1"),
            instance(alice + ".localhost."),
            instance(alice + ".matrix-os.com.:"),
            api("api.matrix-os.com"),
            api("API.matrix-os.com:8443"),
            api("localhost"),
            api("localhost:9000"),
            api("127.0.0.1"),
            api("127.0.0.1:1"),
            api("[::1]"),
            api("[::1]:9000"),
            api("localhost:"),
            api("localhost."),
            nobody("nobody.matrix-os.com"),
            nobody("nobody.localhost:9000"),
            nobody("www.matrix-os.com"),
            nobody("api.localhost"),
            misdirected("matrix-os.com"),
            misdirected("a." + alice + ".matrix-os.com"),
            misdirected(alice + ".matrix-os.com.evil.example"),
            misdirected(alice + "matrix-os.com"),
            misdirected(alice + ".localhost.."),
            misdirected("ab.localhost"),
            misdirected("xn--alice.localhost"),
            misdirected("al--ice.localhost"),
            misdirected("evil.example"),
            misdirected("localhost.evil.example"),
            misdirected("0.0.0.0"),
            misdirected("10.0.0.1:9000"),
            misdirected("127.0.0.2"),
            misdirected("[::2]"),
            malformed(""),
            malformed("al ice.localhost"),
            malformed("localhost:port"),
            malformed("::1"),
            malformed("user@localhost")},
           town().port());
}

TEST_CASE("no Host, or two, is 400 and closes") {
  for (const auto &[name, hosts] : std::vector<std::pair<std::string, std::string>>{
           {"missing", ""},
           {"two", "Host: localhost\r\nHost: localhost\r\n"},
           {"two that differ", "Host: " + town().alice + ".localhost\r\nHost: localhost\r\n"}}) {
    RawConnection connection(town().port());
    connection.send("GET /health HTTP/1.1\r\n" + hosts + "\r\n");
    const Response response = connection.receiveResponse();
    check({.name = name, .target = "/health", .status = 400, .fields = {{"connection", "close"}}}, response);
    CHECK(connection.receive(1).empty());
  }
}

TEST_CASE("gateway and shell by path, by name and by prefix") {
  const std::string alice = town().alice;
  const std::string prefix = "/proxy/" + alice;
  struct Split {
    std::string path, server, target;
  };
  for (const Split &split : std::vector<Split>{{"/echo", "shell", "/echo"},
                                               {"/echo/api", "shell", "/echo/api"},
                                               {"/echo?next=/api/x&b=%20%2F", "shell", "/echo?next=/api/x&b=%20%2F"},
                                               {"/echo/%61?x", "shell", "/echo/%61?x"},
                                               {"/api/echo", "gateway", "/api/echo"},
                                               {"/api/echo/a/b?x=1&x=2", "gateway", "/api/echo/a/b?x=1&x=2"}}) {
    CAPTURE(split.path);
    for (const bool byPrefix : {false, true}) {
      const Response response = byPrefix ? request(town().port(), "GET", prefix + split.path, host("localhost:9000"))
                                         : request(town().port(), "GET", split.path, host(alice + ".localhost"));
      const auto seen = echoed(response);
      CHECK(json::getString(*seen, "server") == split.server);
      CHECK(json::getString(*seen, "target") == split.target);
      CHECK(json::getString(*seen, "handle") == alice);
    }
  }
}

TEST_CASE("the border between gateway and shell") {
  const std::string alice = town().alice;
  const std::string gateway = "{\"error\":\"The demo gateway has no such endpoint.\"}\n";
  const std::string shell = "{\"error\":\"The demo shell has no such page.\"}\n";
  std::vector<Row> rows;
  const auto add = [&](const char *path, const std::string &answer, int status = 404) {
    rows.push_back(
        {.name = path, .target = path, .headers = host(alice + ".localhost"), .status = status, .answer = answer});
    rows.push_back({.name = path,
                    .target = "/proxy/" + alice + path,
                    .headers = host("127.0.0.1"),
                    .status = status,
                    .answer = answer});
  };
  add("/api", gateway);
  add("/api?x", gateway);
  add("/api/", gateway);
  add("/apis", shell);
  add("/API", shell);
  add("/x/api", shell);
  add("//api", shell);
  add("/ws", "{\"error\":\"This is a WebSocket endpoint.\"}\n", 426);
  add("/ws/room", "{\"error\":\"This is a WebSocket endpoint.\"}\n", 426);
  add("/wsx", shell);
  checkAll(rows, town().port());
}

TEST_CASE("the prefix") {
  const std::string alice = town().alice;
  const Headers page{{"content-type", "text/html; charset=utf-8"}};
  checkAll({{.name = "root", .target = "/proxy/" + alice + "/", .fields = page},
            {.name = "no slash", .target = "/proxy/" + alice, .fields = page},
            {.name = "query alone", .target = "/proxy/" + alice + "?x=1", .fields = page},
            {.name = "api host",
             .target = "/proxy/" + alice + "/health",
             .headers = host("api.matrix-os.com"),
             .answer = "{\"ok\":true}\n"},
            {.name = "a browser goes to the instance's own host",
             .target = "/proxy/" + alice + "/x?y=1",
             .headers = host("127.0.0.1:9000", {{"Accept", "text/html"}}),
             .status = 307,
             .fields = {{"location", "http://" + alice + ".localhost:9000/x?y=1"}}},
            {.name = "and under the domain to that",
             .target = "/proxy/" + alice,
             .headers = host("api.matrix-os.com", {{"Sec-Fetch-Mode", "navigate"}}),
             .status = 307,
             .fields = {{"location", "http://" + alice + ".matrix-os.com/"}}},
            {.name = "unknown", .target = "/proxy/nobody/", .status = 404, .error = kNobody},
            {.name = "reserved", .target = "/proxy/admin/", .status = 404, .error = kNobody},
            {.name = "no handle", .target = "/proxy/", .status = 404, .error = kNobody},
            {.name = "bad handle", .target = "/proxy/Alice!/x", .status = 404, .error = kNobody},
            {.name = "encoded handle", .target = "/proxy/%61lice/x", .status = 404, .error = kNobody},
            {.name = "only on the platform's hosts",
             .target = "/proxy/" + alice + "/",
             .headers = host(alice + ".localhost"),
             .status = 404,
             .answer = "{\"error\":\"The demo shell has no such page.\"}\n"},
            {.name = "prefix alone", .target = "/proxy", .status = 404, .error = "there is nothing at this path"},
            {.name = "two slashes",
             .target = "//proxy/" + alice + "/",
             .status = 404,
             .error = "there is nothing at this path"}},
           town().port());
}

TEST_CASE("methods and bodies pass as they are") {
  const std::string alice = town().alice;
  for (const std::string method : {"POST", "PUT", "PATCH", "DELETE"}) {
    CAPTURE(method);
    const auto seen = echoed(request(town().port(), method, "/proxy/" + alice + "/api/echo", {}, "a body"));
    CHECK(json::getString(*seen, "method") == method);
    CHECK(json::getString(*seen, "body") == "a body");
  }
  check({.name = "no body to HEAD", .method = "HEAD", .target = "/health"},
        request(town().port(), "HEAD", "/health", host(alice + ".localhost")));
  check({.name = "the instance's own status",
         .target = "/status?code=418",
         .status = 418,
         .answer = "{\"status\":418}\n"},
        request(town().port(), "GET", "/status?code=418", host(alice + ".localhost")));
}

TEST_CASE("WebSockets reach gateway and shell") {
  const std::string alice = town().alice;
  for (const auto &place :
       std::vector<std::pair<std::string, std::string>>{{alice + ".localhost", "/ws"},
                                                        {alice + ".localhost", "/ws/room?x=1"},
                                                        {alice + ".matrix-os.com", "/shell-ws"},
                                                        {"localhost:9000", "/proxy/" + alice + "/ws"}}) {
    CAPTURE(place.second);
    int status = 0;
    CHECK(webSocketEcho(town().port(), place.first, place.second, "hello", status) == "hello");
    CHECK(status == 101);
  }
  int status = 0;
  webSocketEcho(town().port(), "nobody.localhost", "/ws", "hello", status);
  CHECK(status == 404);
}

TEST_CASE("credentials and claims of the client do not reach an instance, ours do") {
  const std::string name = town().alice + ".localhost";
  const Headers claims{{"Authorization", "Bearer " + town().platform.secret()},
                       {"Cookie", "a=b; __Host-matrixos-session=s; c=d"},
                       {"X-Matrix-User", "eve"},
                       {"X-Forwarded-For", "6.6.6.6"},
                       {"X-Forwarded-Proto", "https"},
                       {"X-Forwarded-Host", "evil.example"},
                       {"X-Forwarded-Port", "1"},
                       {"Forwarded", "for=6.6.6.6"},
                       {"X-Real-IP", "6.6.6.6"},
                       {"CF-Connecting-IP", "6.6.6.6"},
                       {"X-Request-Id", "chosen-by-the-client"},
                       {"Connection", "close, X-Nominated"},
                       {"X-Nominated", "1"},
                       {"Keep-Alive", "timeout=5"},
                       {"TE", "trailers"},
                       {"X-Own", "kept"}};
  for (const bool byPrefix : {false, true}) {
    const std::string asked = byPrefix ? "localhost" : name;
    const std::string target = byPrefix ? "/proxy/" + town().alice + "/echo" : "/echo";
    const Response response = request(town().port(), "GET", target, host(asked, claims));
    const auto headers = json::findObject(*echoed(response), "headers");
    const auto value = [&](const char *field) { return json::findString(*headers, field).value_or(""); };
    CHECK(value("authorization").empty());
    CHECK(value("cookie") == "a=b; c=d");
    CHECK(value("x-own") == "kept");
    CHECK(value("x-forwarded-for") == "127.0.0.1");
    CHECK(value("x-forwarded-proto") == "http");
    CHECK(value("x-forwarded-host") == asked);
    CHECK(value("forwarded") == "for=127.0.0.1;host=\"" + asked + "\";proto=http");
    for (const std::string gone :
         {"x-matrix-user", "x-forwarded-port", "x-real-ip", "cf-connecting-ip", "x-nominated", "keep-alive", "te"}) {
      CAPTURE(gone);
      CHECK_FALSE(headers->has(gone));
    }
    CHECK(value("traceparent").size() == 55);
    CHECK(value("x-request-id") != "chosen-by-the-client");
    CHECK(value("x-request-id") == response.headers.at("x-request-id"));
  }
}

TEST_CASE("what belongs to the instance's user reaches the instance") {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const Response response =
      request(town().port(), "GET", "/echo",
              host(town().alice + ".localhost",
                   {{"Authorization", "Bearer of-the-instance"}, {"Cookie", "session=1"}, {"traceparent", trace}}));
  const auto headers = json::findObject(*echoed(response), "headers");
  CHECK(json::getString(*headers, "authorization") == "Bearer of-the-instance");
  CHECK(json::getString(*headers, "cookie") == "session=1");
  CHECK(json::getString(*headers, "traceparent") == trace);
}

TEST_CASE("an instance's cookie stays its own") {
  const std::string name = town().alice + ".matrix-os.com";
  const auto cookie = [&](const std::string &text) {
    const Response response = request(town().port(), "GET", "/status?code=200&cookie=" + text, host(name));
    const auto at = response.headers.find("set-cookie");
    return at == response.headers.end() ? std::string() : at->second;
  };
  CHECK(cookie("a=1;Path=/") == "a=1;Path=/");
  CHECK(cookie("a=1;Domain=matrix-os.com;Path=/") == "a=1;Path=/");
  CHECK(cookie("a=1;Domain=" + name) == "a=1;Domain=" + name);
  CHECK(cookie("__Host-matrixos=1").empty());
}

TEST_CASE("people get a page, programs a problem") {
  const auto nobody = [](const std::string &accept, bool page) {
    const std::string type = page ? "text/html; charset=utf-8" : "application/problem+json";
    return Row{.name = "Accept: " + accept,
               .target = "/",
               .headers = host("nobody.localhost", {{"Accept", accept}}),
               .status = 404,
               .fields = {{"content-type", type}, {"cache-control", "no-store"}}};
  };
  checkAll({nobody("text/html", true),
            nobody("text/html,application/xhtml+xml,*/*;q=0.8", true),
            nobody("text/html;q=0, application/json", false),
            nobody("TEXT/HTML;q=0.9", true),
            nobody("*/*", false),
            nobody("application/json", false),
            nobody("text/plain", false),
            {.name = "foreign host",
             .target = "/",
             .headers = host("evil.example", {{"Accept", "text/html"}}),
             .status = 421,
             .fields = {{"content-type", "text/html; charset=utf-8"}}},
            {.name = "the API never writes pages",
             .target = "/nope",
             .headers = host("localhost", {{"Accept", "text/html"}}),
             .status = 404,
             .fields = {{"content-type", "application/problem+json"}}}},
           town().port());
}

TEST_CASE("a request wakes an instance that sleeps; one that is gone is unknown") {
  Platform &platform = town().platform;
  const std::string bob = platform.handle("bob");
  platform.provision(bob, "user_" + bob);
  const std::string at = "/containers/" + bob;
  for (const auto &[name, target] : std::vector<std::pair<std::string, std::string>>{
           {bob + ".localhost", "/health"}, {"localhost", "/proxy/" + bob + "/api/health"}}) {
    CHECK(platform.daemon().api("POST", at + "/stop").status == 200);
    check({.name = "wakes", .target = target, .answer = "{\"ok\":true}\n"}, platform.daemon().web(name, target));
    CHECK(member(platform.daemon().api("GET", at).body, "status") == "running");
  }
  CHECK(platform.daemon().api("POST", at + "/stop").status == 200);
  int status = 0;
  CHECK(webSocketEcho(town().port(), bob + ".localhost", "/ws", "hello", status) == "hello");
  CHECK(platform.daemon().api("DELETE", at).status == 200);
  CHECK(eventually([&] { return platform.daemon().web(bob + ".localhost", "/health").status == 404; }));
}

TEST_CASE("without lifecycle a sleeping instance is 503, and a slow one 504") {
  Platform platform(
      {{"plugins.enabled", "runtime-docker, orchestrator, social, proxy"}, {"proxy.first_byte_timeout", "5s"}});
  const std::string carol = platform.handle("carol");
  const std::string name = carol + ".localhost";
  platform.provision(carol, "user_" + carol);
  DaemonProcess &daemon = platform.daemon();
  REQUIRE(eventually([&] { return daemon.web(name, "/health").status == 200; }));
  check({.name = "slow", .target = "/slow", .status = 504, .error = "the instance took too long"},
        daemon.web(name, "/slow?ms=300000"));
  CHECK(daemon.api("POST", "/containers/" + carol + "/stop").status == 200);
  const Row asleep{.name = "asleep", .target = "/", .status = 503, .error = "this instance is not running"};
  REQUIRE(eventually([&] { return daemon.web(name, "/").status == 503; }));
  const Response refused = daemon.web(name, "/");
  check(asleep, refused);
  CHECK(refused.headers.count("retry-after") == 1);
  check({.name = "a page", .target = "/", .status = 503, .fields = {{"content-type", "text/html; charset=utf-8"}}},
        daemon.web(name, "/", {{"Accept", "text/html"}}));
}

// A connection kept from before would wait for packets that nobody sends back: that is 504. Hence none is kept. It
// stays on its network, to which it would be connected again; only root can have it answer that it is not there.
TEST_CASE("an instance that runs but cannot be reached is 502" * doctest::skip(::geteuid() != 0)) {
  Platform platform(
      Values{{"plugins.enabled", "runtime-docker, orchestrator, social, proxy"}, {"proxy.idle_upstreams", "0"}});
  const std::string dave = platform.handle("dave");
  platform.provision(dave, "user_" + dave);
  DaemonProcess &daemon = platform.daemon();
  REQUIRE(eventually([&] { return daemon.web(dave + ".localhost", "/health").status == 200; }));
  std::string pid = run({"docker", "inspect", "--format", "{{.State.Pid}}", "matrixos-" + dave}).out;
  pid.erase(pid.find_last_not_of('\n') + 1);
  REQUIRE(run({"nsenter", "--target", pid, "--net", "iptables", "--append", "INPUT", "--jump", "REJECT",
               "--reject-with", "icmp-host-unreachable"})
              .status == 0);
  check({.name = "shell", .target = "/", .status = 502, .error = "the instance cannot be reached"},
        daemon.web(dave + ".localhost", "/"));
  check({.name = "gateway", .target = "/proxy/api/x", .status = 502, .error = "the instance cannot be reached"},
        daemon.web("localhost", "/proxy/" + dave + "/api/x"));
  check({.name = "social", .target = "/social/profiles/" + dave, .status = 502},
        daemon.api("GET", "/social/profiles/" + dave));
  CHECK(daemon.api("DELETE", "/containers/" + dave).status == 200);
}
