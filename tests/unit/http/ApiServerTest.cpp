#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>
#include <thread>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;

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
  CHECK(record.path == "/hello");
  CHECK(record.bytesIn == 0);
  CHECK(record.bytesOut == 5);
  CHECK(record.requestId.size() == 26);
}

TEST_CASE("a head that is too large is told which limit it exceeds") {
  TestServer server([](auto &options) { options.maxHead = 16 * 1024; });
  const auto error = [&](const std::string &bytes, int status) {
    RawClient client(server.apiPath());
    client.send(bytes);
    const Answer answer = client.next();
    CHECK(answer.status == status);
    return answer.body;
  };
  const std::string line = "GET /hello HTTP/1.1\r\nHost: api\r\n";
  CHECK(error(line + "X: " + std::string(20'000, 'x') + "\r\n\r\n", 431)
            .find("the request header is too large; [api] max_header allows 16384 bytes") != std::string::npos);
  std::string many;
  for (int i = 0; i < 120; ++i)
    many += "X: y\r\n";
  CHECK(error(line + many + "\r\n", 431).find("too many header fields; at most 100 are allowed") != std::string::npos);
  CHECK(error("GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: api\r\n\r\n", 414)
            .find("too long; at most 8192 bytes are allowed") != std::string::npos);
}

TEST_CASE("paths, methods and bodies are refused with a problem that says why") {
  TestServer server;
  struct Case {
    std::string request;
    int status;
  };
  const std::string host = " HTTP/1.1\r\nHost: api\r\n\r\n";
  const Case cases[] = {{"GET /none" + host, 404},         {"GET /hello/" + host, 404},
                        {"GET //hello" + host, 404},       {"DELETE /hello" + host, 405},
                        {"BREW /hello" + host, 405},       {"GET /\\hello" + host, 400},
                        {"GET /%2e%2e/hello" + host, 400}, {"GET /a/../hello" + host, 400},
                        {"GET /hello%00" + host, 400},     {"GET /hello%0d%0aX:y" + host, 400},
                        {"GET /%zz" + host, 400},          {"GET /hello?a=%zz" + host, 400},
                        {"GET /hello?a=%00" + host, 400},  {"GET /%ff" + host, 400},
                        {"GET /\"hello" + host, 400},      {"GET /<hello>" + host, 400},
                        {"GET /{hello}" + host, 400},      {"GET /a|b" + host, 400},
                        {"GET /a^b" + host, 400},          {"GET /hello?a=\\" + host, 400},
                        {"GET http://api" + host, 404},    {"\r\nGET /none" + host, 404},
                        {"GET /admin-only" + host, 401}};
  RawClient client(server.apiPath());
  for (const Case &item : cases) {
    CAPTURE(item.request);
    REQUIRE(client.send(item.request));
    const Answer answer = client.next();
    CHECK(answer.status == item.status);
    CHECK(answer.field("Content-Type") == "application/problem+json");
    CHECK(answer.field("Cache-Control") == "no-store");
    CHECK(answer.body.find("\"type\":\"about:blank\"") != std::string::npos);
    CHECK(answer.body.find("\"status\":" + std::to_string(item.status)) != std::string::npos);
    CHECK(answer.body.find("\"error\":\"") != std::string::npos);
    CHECK(answer.body.find("\"requestId\":\"" + answer.field("X-Request-Id") + "\"") != std::string::npos);
    if (item.status == 405) CHECK(answer.field("Allow") == "GET, HEAD, OPTIONS");
    if (item.status == 401) CHECK(answer.field("WWW-Authenticate") == "Bearer");
  }
  CHECK(server.served == 0);
}

TEST_CASE("HEAD has GET's head without its body, OPTIONS names the methods") {
  TestServer server;
  RawClient client(server.port());
  client.send("HEAD /hello HTTP/1.1\r\nHost: api\r\n\r\n");
  const Answer head = client.next(true);
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "5");
  client.send("OPTIONS /hello HTTP/1.1\r\nHost: api\r\n\r\n");
  const Answer options = client.next();
  CHECK(options.status == 204);
  CHECK(options.field("Allow") == "GET, HEAD, OPTIONS");
  CHECK(options.field("Content-Length").empty());
  client.send("OPTIONS * HTTP/1.1\r\nHost: api\r\n\r\nHEAD /none HTTP/1.1\r\nHost: api\r\n\r\n");
  CHECK(client.next().status == 204);
  CHECK(client.next(true).status == 404);
  client.send(get("/hello"));
  CHECK(client.next().body == "hello");
}

TEST_CASE("bodies are read to their end: lengths, chunks with extensions and trailers, 100-continue") {
  TestServer server;
  RawClient client(server.port());
  const std::string post = "POST /echo HTTP/1.1\r\nHost: api\r\n";
  client.send(post + "Content-Length: 5\r\n\r\nhello" + post + "Transfer-Encoding: chunked\r\n\r\n" +
              "3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n" + get("/hello"));
  CHECK(client.next().body == "hello");
  CHECK(client.next().body == "abc0123456789");
  CHECK(client.next().body == "hello");
  client.send(post + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.next().status == 100);
  client.send("xyz");
  CHECK(client.next().body == "xyz");
  client.send(post + "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.next().status == 200);
  // Split at every byte.
  for (const char c : post + "Transfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n0\r\n\r\n")
    client.send(std::string(1, c));
  CHECK(client.next().body == "slow");
  const std::string largest(65536, 'x');
  client.send(post + "Content-Length: 65536\r\n\r\n" + largest);
  CHECK(client.next().body == largest);
}

TEST_CASE("a client that awaits 100-continue for a refused body is not asked for it, and the connection ends") {
  TestServer server;
  RawClient client(server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: api\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n");
  const Answer answer = client.next();
  CHECK(answer.status == 413);
  CHECK(answer.field("Connection") == "close");
  CHECK(client.closed());
}

TEST_CASE("a body that ends early is 400, and the handler is not called") {
  TestServer server;
  for (const char *part : {"Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
                           "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "Transfer-Encoding: chunked\r\n\r\n",
                           "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"}) {
    CAPTURE(part);
    RawClient client(server.apiPath());
    client.send(std::string("POST /echo HTTP/1.1\r\nHost: api\r\n") + part);
    client.finishSending();
    CHECK(client.next().status == 400);
    CHECK(client.closed());
  }
  CHECK(server.served == 0);
}

TEST_CASE("a body that nobody wanted is read away, or the connection ends; it is never a request") {
  TestServer server;
  const std::string hidden = get("/hidden");
  const std::string framed = "Content-Length: " + std::to_string(hidden.size()) + "\r\n\r\n" + hidden;
  std::ostringstream hex;
  hex << std::hex << hidden.size();
  const std::string hexSize = hex.str();
  const std::string rightChunk = "Transfer-Encoding: chunked\r\n\r\n" + hexSize + "\r\n" + hidden + "\r\n0\r\n\r\n";
  for (const char *line : {"POST /none", "DELETE /hello", "POST /hello", "POST /nobody", "GET /hello",
                           "GET /admin-only", "OPTIONS /hello", "OPTIONS *", "POST /%zz", "POST /a/../b"}) {
    for (const std::string &body : {framed, rightChunk}) {
      CAPTURE(line);
      RawClient client(server.port());
      client.send(std::string(line) + " HTTP/1.1\r\nHost: api\r\n" + body + get("/hello"));
      const Answer first = client.next();
      CHECK(first.status >= 200);
      if (first.field("Connection") == "close") {
        // Chunks have no length to decide by, and these were begun to be read.
        CHECK(std::string(line) == "POST /nobody");
        CHECK(client.closed());
        continue;
      }
      const Answer second = client.next();
      CHECK(second.status == 200);
      CHECK(second.body == "hello");
    }
  }
  for (const char *line : {"POST /none", "POST /nobody", "POST /echo"}) {
    CAPTURE(line);
    RawClient client(server.port());
    client.send(std::string(line) + " HTTP/1.1\r\nHost: api\r\nContent-Length: 70000\r\n\r\n" + get("/hidden"));
    CHECK(client.next().status >= 400);
    client.finishSending();
    CHECK(statusesIn(client.rest()).empty());
  }
  CHECK(server.hidden == 0);
}

TEST_CASE("request ids: a sane one is taken, any other replaced") {
  TestServer server;
  RawClient client(server.port());
  client.send(get("/hello", "X-Request-Id: abc-1.2_Z\r\n"));
  CHECK(client.next().field("X-Request-Id") == "abc-1.2_Z");
  for (const std::string &id :
       {std::string("a b"), std::string("x\"y"), std::string(65, 'a'), std::string("<script>")}) {
    client.send(get("/hello", "X-Request-Id: " + id + "\r\n"));
    CHECK(client.next().field("X-Request-Id").size() == 26);
  }
  client.send(get("/hello", "X-Request-Id: a\r\nX-Request-Id: b\r\n"));
  CHECK(client.next().field("X-Request-Id").size() == 26);
}

TEST_CASE("HTTP/1.0 is answered and closed, with and without Host, whatever it asks for") {
  TestServer server;
  for (const char *fields : {"", "Host: api\r\n", "Connection: keep-alive\r\n"}) {
    CAPTURE(fields);
    RawClient once(server.port());
    once.send(std::string("GET /hello HTTP/1.0\r\n") + fields + "\r\n");
    const Answer answer = once.next();
    CHECK(answer.body == "hello");
    CHECK(answer.field("Connection") == "close");
    CHECK(once.closed());
  }
}

TEST_CASE("what is served nowhere is 405, and ends the connection") {
  TestServer server;
  RawClient client(server.port());
  client.send("TRACE /hello HTTP/1.1\r\nHost: api\r\n\r\n" + get("/hidden"));
  const Answer answer = client.next();
  CHECK(answer.status == 405);
  CHECK(answer.field("Allow").find("GET") != std::string::npos);
  client.finishSending();
  CHECK(statusesIn(client.rest()).empty());
  CHECK(server.hidden == 0);
}

TEST_CASE("a client that has ended its side still gets an answer that comes soon") {
  TestServer server;
  server.server().addRoutes(1, {route("GET", "/soon", [](const auto &x) {
                              std::this_thread::sleep_for(20ms);
                              x->respond(200, "text/plain", {}, "soon");
                            })});
  RawClient client(server.apiPath());
  client.send(get("/soon"));
  client.finishSending();
  CHECK(client.next().body == "soon");
  CHECK(client.closed());
}

TEST_CASE("an exception in a handler becomes a problem; one that is no Error says nothing of itself") {
  TestServer server;
  server.server().addRoutes(
      7, {route("GET", "/error",
                [](const auto &) { throw Error(Status::Unavailable, "the engine \"x\" is away", "ENGINE", 1500); }),
          route("GET", "/bug", [](const auto &) { throw std::runtime_error("secret detail"); }),
          route("GET", "/odd", [](const auto &) { throw 7; }),
          route("GET", "/late",
                [](const auto &x) {
                  x->respond(200, "text/plain", {}, "first");
                  throw std::runtime_error("x");
                }),
          route("GET", "/cut", [](const auto &x) {
            x->begin(200, "text/plain", {});
            x->write("part");
            throw std::runtime_error("x");
          })});
  RawClient client(server.port());
  client.send(get("/error"));
  const Answer error = client.next();
  CHECK(error.status == 503);
  CHECK(error.field("Retry-After") == "2");
  CHECK(error.body.find("\"reason\":\"ENGINE\"") != std::string::npos);
  CHECK(error.body.find("the engine \\\"x\\\" is away") != std::string::npos);
  for (const char *path : {"/bug", "/odd"}) {
    client.send(get(path));
    const Answer bug = client.next();
    CHECK(bug.status == 500);
    CHECK(bug.body.find("secret") == std::string::npos);
    CHECK(bug.body.find("requestId") != std::string::npos);
  }
  client.send(get("/late"));
  CHECK(client.next().body == "first");
  client.send(get("/cut"));
  const Answer cut = client.next();
  CHECK(cut.status == 200);
  CHECK_FALSE(cut.complete);
  CHECK(server.faults == 4);
}

TEST_CASE("who may do what: every permission, listener and credential") {
  struct Way {
    const char *name;
    std::string field;
    int api;   ///< expected on TCP and the api socket
    int admin; ///< expected on the admin socket, as the daemon's user
  };
  const Way ways[] = {
      {"nothing", "", 401, 200},
      {"the secret", bearer(), 200, 200},
      {"the secret, other case of the scheme", std::string("Authorization: bEARER ") + kSecret + "\r\n", 200, 200},
      {"a wrong secret", "Authorization: Bearer wrong\r\n", 401, 200},
      {"part of it", std::string("Authorization: Bearer ") + std::string(kSecret).substr(0, 10) + "\r\n", 401, 200},
      {"more than it", std::string("Authorization: Bearer ") + kSecret + "x\r\n", 401, 200},
      {"basic", "Authorization: Basic YTpi\r\n", 401, 200},
      {"no scheme", std::string("Authorization: ") + kSecret + "\r\n", 401, 200},
      {"empty", "Authorization:\r\n", 401, 200},
      {"two fields", bearer() + bearer(), 401, 200}};
  for (const bool open : {false, true}) {
    TestServer server([&](ApiServerOptions &options) {
      auth::Authenticator::Options login;
      login.secret = kSecret;
      login.open = open;
      login.ownUid = ::getuid();
      options.authenticator = std::make_shared<auth::Authenticator>(login);
    });
    for (const Way &way : ways) {
      CAPTURE(way.name);
      CAPTURE(open);
      RawClient clients[] = {RawClient(server.port()), RawClient(server.apiPath()), RawClient(server.adminPath())};
      for (int i = 0; i < 3; ++i) {
        CAPTURE(i);
        clients[i].send(get("/hello", way.field) + get("/admin-only", way.field));
        CHECK(clients[i].next().status == 200);
        const Answer answer = clients[i].next();
        CHECK(answer.status == (i == 2 ? way.admin : open ? 200 : way.api));
        if (answer.status == 401) CHECK(answer.body.find("Authorization: Bearer") != std::string::npos);
      }
    }
  }
}

TEST_CASE("a stranger on the admin socket is 403, with and without auth=none") {
  for (const bool open : {false, true}) {
    TestServer server([&](ApiServerOptions &options) {
      auth::Authenticator::Options login;
      login.secret = kSecret;
      login.open = open;
      login.ownUid = ::getuid() + 1;
      options.authenticator = std::make_shared<auth::Authenticator>(login);
    });
    if (::getuid() == 0) return; // root is no stranger; the authenticator's own tests cover strangers
    RawClient client(server.adminPath());
    client.send(get("/admin-only"));
    CHECK(client.next().status == 403);
  }
}
