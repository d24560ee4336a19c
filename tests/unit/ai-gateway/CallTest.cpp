/// Calls from one side to the other: what passes, what does not, and where it goes.
#include "Stage.h"

#include <doctest/doctest.h>
#include <support/TempDir.h>

using namespace matrixos::gateway::test;
using namespace matrixos::gateway;
using matrixos::test::eventually;
using matrixos::test::RawConnection;

namespace {

std::string bodyOf(const std::string &message) {
  return message.substr(message.find("\r\n\r\n") + 4);
}

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a token whose instance has only just started is refused so that it is sent again, and counts at once then") {
  Upstream upstream(answerOf("200 OK", messageOf(1, 1)));
  Stage stage({upstream.url()});
  stage.owners[kToken] = {"01ALICE", "alice", true, {}};
  const Response early = stage.post(Stage::body());
  CHECK(early.status == 529);
  CHECK(has(early.body, R"("type":"overloaded_error")"));
  CHECK(upstream.requests().empty());
  stage.owners[kToken] = {"01ALICE", "alice", true, {"127.0.0.1"}};
  CHECK(stage.post(Stage::body()).status == 200);
}

TEST_CASE("a call goes on byte by byte with our key in place of the token, and costs what the answer says") {
  const std::string said = messageOf(12, 34);
  Upstream upstream(
      answerOf("200 OK", said, "request-id: req_up\r\nSet-Cookie: a=b\r\nanthropic-ratelimit-tokens-limit: 9\r\n"));
  Stage stage({upstream.url() + "/base"});
  const std::string sent =
      "  {\"model\" : "
      "\"claude-haiku-4-5\",\n\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e4\"}]} ";
  const Response answer = stage.post(sent,
                                     {{"Authorization", std::string("Bearer ") + kToken},
                                      {"anthropic-version", "2026-10-21"},
                                      {"anthropic-beta", "one"},
                                      {"Cookie", "c=d"},
                                      {"x-matrix-user", "root"},
                                      {"Accept-Encoding", "gzip"},
                                      {"X-Forwarded-For", "1.2.3.4"}},
                                     "/v1/messages?beta=true&x=%20");
  CHECK(answer.status == 200);
  CHECK(answer.body == said);
  CHECK(answer.headers.at("request-id") == "req_up");
  CHECK(answer.headers.count("set-cookie") == 0);
  CHECK(answer.headers.count("anthropic-ratelimit-tokens-limit") == 0);
  REQUIRE(upstream.requests().size() == 1);
  const std::string request = upstream.requests().front();
  CHECK(request.rfind("POST /base/v1/messages?beta=true&x=%20 HTTP/1.1\r\n", 0) == 0);
  CHECK(bodyOf(request) == sent);
  CHECK(has(request, "\r\nHost: 127.0.0.1:" + upstream.url().substr(17)));
  CHECK(has(request, std::string("\r\nx-api-key: ") + kKey + "\r\n"));
  CHECK(has(request, "\r\nAccept-Encoding: identity\r\n"));
  CHECK(has(request, "\r\nanthropic-version: 2026-10-21\r\nanthropic-beta: one\r\n"));
  for (const char *secret : {"mxi_", "Cookie", "root", "gzip", "1.2.3.4", "Authorization"})
    CHECK_MESSAGE(!has(request, secret), secret);
  REQUIRE(stage.settled());
  const auto rows = stage.books.rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].instance == "01ALICE");
  CHECK(rows[0].cost == Money::ofPico(12 * 1'000'000 + 34 * 5'000'000));
  CHECK_FALSE(rows[0].partial);
}

TEST_CASE("events reach the client as they come, and the stream costs what its last words say") {
  std::atomic<int> seen{0};
  Upstream upstream([&](const Peer &peer, const std::string &) {
    peer.say(kStreamHead + chunk(startEvent(30)));
    eventually([&] { return seen == 1; }); // the client has it before anything else is sent
    peer.say(chunk("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
    eventually([&] { return seen == 2; });
    peer.say(chunk(textEvent("hello")) + chunk(endEvents(20)) + "0\r\n\r\n");
  });
  Stage stage({upstream.url()});
  auto client = stage.sent(Stage::body(100, true));
  std::string text;
  const auto readUntil = [&](const std::string &part) {
    while (!has(text, part)) {
      const std::string more = client.receive(1);
      if (more.empty()) return false;
      text += more;
    }
    return true;
  };
  CHECK(readUntil("message_start\""));
  CHECK(readUntil("\n\n"));
  seen = 1;
  CHECK(readUntil("ping\"}\n\n"));
  seen = 2;
  CHECK(readUntil("message_stop\"}\n\n"));
  CHECK(readUntil("0\r\n\r\n"));
  REQUIRE(stage.settled());
  CHECK(stage.books.rows().front().cost == Money::ofPico(30 * 1'000'000 + 20 * 5'000'000));
  CHECK_FALSE(stage.books.rows().front().partial);
}

TEST_CASE("who is not somebody with a good credential for the route gets nothing, and nothing goes out") {
  Upstream upstream(answerOf("200 OK", messageOf(1, 1)));
  matrixos::test::TempDir dir;
  const std::string socket = (dir / "containers.sock").string();
  Stage stage({upstream.url()}, [&](GatewayOptions &options) {
    options.server.listen.emplace_back("unix:" + socket); // a peer that is neither this machine's nor an instance
    options.server.listen.back().tag = kContainersTag;
  });
  const std::string good = std::string("Bearer ") + kToken;
  struct Row {
    const char *path;
    Headers headers;
    int status;
    const char *type;
  };
  const std::vector<Row> rows{
      {"/v1/messages", {}, 401, "authentication_error"},
      {"/v1/messages", {{"x-api-key", "mxi_guessed"}}, 401, "authentication_error"},
      {"/v1/messages", {{"x-api-key", "mxi_bob"}}, 401, "authentication_error"}, // from another address than his
      {"/v1/messages", {{"Authorization", "Basic bXhpX2FsaWNlOg=="}}, 401, "authentication_error"},
      {"/v1/messages", {{"Authorization", good}, {"x-api-key", "mxi_bob"}}, 401, "authentication_error"},
      {"/v1/messages", {{"Authorization", good}, {"x-api-key", "sk-ant-own"}}, 401, "authentication_error"},
      {"/v1/messages", {{"x-matrix-user", "alice"}}, 401, "authentication_error"},
      {"/v1/messages", {{"x_api_key", kToken}}, 401, "authentication_error"},
      {"/v1/messages", {{"x-api-key", kSecret}}, 403, "permission_error"},
      {"/v1/models", {{"x-api-key", kSecret}}, 403, "permission_error"},
      {"/instances", {{"x-api-key", kToken}}, 403, "permission_error"},
      {"/instances", {{"x-api-key", "sk-ant-own"}}, 401, "authentication_error"},
      {"/instances", {{"x-api-key", "the-secret-of-the-platforn"}}, 401, "authentication_error"},
      {"/instances/register", {{"x-api-key", kToken}}, 403, "permission_error"},
  };
  for (const Row &row : rows) {
    const bool reads = std::string(row.path) == "/instances" || std::string(row.path) == "/v1/models";
    const Response answer = matrixos::test::request(stage.port(), reads ? "GET" : "POST", row.path, row.headers,
                                                    reads ? "" : Stage::body());
    CAPTURE(row.path);
    CAPTURE(answer.body);
    CHECK(answer.status == row.status);
    CHECK(has(answer.body, std::string("{\"type\":\"error\",\"error\":{\"type\":\"") + row.type));
    CHECK(has(answer.body, "\"request_id\":\"" + answer.headers.at("request-id") + "\""));
    CHECK(answer.headers.at("x-should-retry") == "false");
  }
  for (const char *path : {"/health", "/v1/messages"}) {
    const Response answer =
        matrixos::test::request(std::filesystem::path(socket), "GET", path, {{"x-api-key", kToken}});
    CHECK(answer.status == 403);
    CHECK(has(answer.body, "permission_error"));
  }
  CHECK(matrixos::test::request(stage.port(), "GET", "/health").body == R"({"status":"ok"})");
  CHECK(upstream.requests().empty());
  CHECK(stage.books.rows().empty());
}

TEST_CASE("nothing in a request says where it goes") {
  Upstream upstream(answerOf("200 OK", messageOf(1, 1)));
  Upstream evil(answerOf("200 OK", "{}"));
  Stage stage({upstream.url()});
  const std::string there = evil.url().substr(7);
  const std::string body = R"({"model":"claude-haiku-4-5","max_tokens":5,"base_url":")" + evil.url() +
                           R"(","messages":[{"role":"user","content":")" + evil.url() + R"("}]})";
  const auto ask = [&](const std::string &target, const std::string &host, const std::string &fields = {}) {
    RawConnection connection(stage.port());
    connection.send("POST " + target + " HTTP/1.1\r\nHost: " + host + "\r\nx-api-key: " + kToken + "\r\n" + fields +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return connection.receiveResponse().status;
  };
  CHECK(ask("/v1/messages", there) == 200);
  CHECK(ask("http://" + there + "/v1/messages", there) == 200);
  CHECK(ask("/v1/messages", "gateway",
            "X-Forwarded-Host: " + there + "\r\nX-Original-URL: http://" + there + "/\r\n") == 200);
  CHECK(ask("http://user@" + there + "/v1/messages", there) == 400);
  CHECK(ask("http://gateway/v1/messages", there) == 400);
  CHECK(ask("//" + there + "/v1/messages", "gateway") == 404);
  CHECK(ask("/v1/messages@" + there, "gateway") == 404);
  CHECK(upstream.requests().size() == 3);
  for (const std::string &request : upstream.requests())
    CHECK(has(request, "\r\nHost: " + upstream.url().substr(7) + "\r\n"));
  CHECK(evil.requests().empty());

  Upstream redirects("HTTP/1.1 307 Temporary Redirect\r\nLocation: " + evil.url() +
                     "/v1/messages\r\nContent-Length: 0\r\n\r\n");
  Stage redirected({redirects.url()});
  const Response answer = redirected.post(Stage::body());
  CHECK(answer.status == 502);
  CHECK(has(answer.body, "api_error"));
  CHECK(answer.headers.count("location") == 0);
  CHECK(evil.requests().empty());
  CHECK(redirected.settled());
}

TEST_CASE(
    "what an upstream repeats of the key reaches nobody: not in answers, not in errors, not in logs and metrics") {
  const std::string echo =
      std::string(R"({"type":"error","error":{"type":"invalid_request_error","message":"bad key )") + kKey + "\"}}";
  Upstream upstream([&](const Peer &peer, const std::string &request) {
    if (has(request, "\"stream\":true")) {
      const std::string event = textEvent(std::string("your key is ") + kKey);
      peer.say(kStreamHead + chunk(startEvent(1)));
      for (const char c : event)
        peer.say(chunk(std::string(1, c)));
      peer.say(chunk(endEvents(1)) + "0\r\n\r\n");
    } else {
      peer.say(answerOf("400 Bad Request", echo, std::string("x-echo: ") + kKey + "\r\n"));
    }
  });
  Stage stage({upstream.url()});
  const Response error = stage.post(Stage::body());
  CHECK(error.status == 400);
  CHECK(error.body.size() == echo.size());
  CHECK(has(error.body, "bad key xxxxxxxx"));
  CHECK(error.headers.at("x-echo") == std::string(std::string_view(kKey).size(), 'x'));
  const Response stream = stage.post(Stage::body(10, true));
  CHECK(stream.status == 200);
  CHECK(has(stream.body, "your key is xxxxxxxxxxxxxxxxxxxxxxxx\"}}\n\n"));
  CHECK(has(stream.body, "message_stop"));
  REQUIRE(stage.settled());
  CHECK(has(stage.log(), "request"));
  for (const std::string &text : {error.body, stream.body, stage.log()})
    CHECK_FALSE(has(text, "canary"));
  for (const auto &line : stage.books.host->lines())
    for (const auto &[name, value] : line.fields)
      CHECK_FALSE((has(value, "canary") || has(value, "mxi_") || has(value, kSecret)));
  for (const std::string &series : stage.books.host->series())
    CHECK_FALSE(has(series, "canary"));
}

TEST_CASE("another place is tried for what is not the caller's fault, as long as no byte went down") {
  struct Row {
    const char *status;
    bool elsewhere;
  };
  for (const Row &row : {Row{"401 Unauthorized", true}, Row{"403 Forbidden", true}, Row{"429 Too Many Requests", true},
                         Row{"500 Internal Server Error", true}, Row{"503 Service Unavailable", true},
                         Row{"529 Overloaded", true}, Row{"400 Bad Request", false}, Row{"404 Not Found", false},
                         Row{"413 Content Too Large", false}, Row{"422 Unprocessable", false}}) {
    CAPTURE(row.status);
    Upstream first(answerOf(row.status, R"({"type":"error"})", "x-should-retry: true\r\nretry-after: 7\r\n"));
    Upstream second(answerOf("200 OK", messageOf(1, 1)));
    Stage stage({first.url(), second.url()});
    const Response answer = stage.post(Stage::body());
    CHECK(answer.status == (row.elsewhere ? 200 : std::atoi(row.status)));
    CHECK(second.requests().size() == (row.elsewhere ? 1U : 0U));
    CHECK(stage.settled());
    CHECK(stage.books.rows().size() == (row.elsewhere ? 1U : 0U));
    // With nobody else the answer is passed on as it is.
    Stage alone({first.url()});
    const Response last = alone.post(Stage::body());
    CHECK(last.status == std::atoi(row.status));
    CHECK(last.body == R"({"type":"error"})");
    CHECK(last.headers.at("x-should-retry") == "true");
    CHECK(last.headers.at("retry-after") == "7");
    CHECK(alone.settled());
    CHECK(alone.books.rows().empty());
  }
}

TEST_CASE("another place is tried for a fault that is told in a compressed answer, too") {
  Upstream first(answerOf("503 Service Unavailable", "xxxx", "Content-Encoding: gzip\r\n"));
  Upstream second(answerOf("200 OK", messageOf(1, 1)));
  Stage stage({first.url(), second.url()});
  CHECK(stage.post(Stage::body()).status == 200);
  CHECK(first.requests().size() == 1);
  CHECK(stage.settled());
  CHECK(stage.books.rows().size() == 1);
}

TEST_CASE("servers that cannot be reached are passed over, and when all are out the caller hears when to come back") {
  const matrixos::test::LoopbackPort closed;
  const std::string nowhere = "http://127.0.0.1:" + std::to_string(closed.port());
  Upstream plain(answerOf("200 OK", messageOf(1, 1)));
  Stage stage({nowhere, "https" + plain.url().substr(4), "http://nobody.invalid", plain.url()});
  CHECK(stage.post(Stage::body()).status == 200); // the second does not speak TLS, the third has no address
  CHECK(stage.settled());
  Stage out({nowhere});
  for (int i = 0; i < 6; ++i) {
    const Response answer = out.post(Stage::body());
    CHECK(answer.status == 529);
    CHECK(has(answer.body, "overloaded_error"));
    const int wait = std::atoi(answer.headers.at("retry-after").c_str());
    CHECK(wait >= 1);
    CHECK(wait <= 30);
    if (i == 5) CHECK(wait > 20); // its breaker is open
  }
  CHECK(out.settled());
  CHECK(out.books.rows().empty());
}

TEST_CASE("a caller's own key goes on as it came, with nothing held and nothing booked") {
  Upstream upstream(answerOf("401 Unauthorized", R"({"type":"error"})"));
  Upstream other(answerOf("200 OK", messageOf(1, 1)));
  Stage stage({upstream.url(), other.url()});
  CHECK(stage.post(Stage::body(), {{"Authorization", "Bearer sk-ant-oat01-own"}}).status == 401);
  CHECK(stage.post(Stage::body(), {{"x-api-key", "sk-ant-api03-own"}}).status == 401);
  CHECK(other.requests().empty()); // it is about his key
  REQUIRE(upstream.requests().size() == 2);
  CHECK(has(upstream.requests()[0], "\r\nAuthorization: Bearer sk-ant-oat01-own\r\n"));
  CHECK(has(upstream.requests()[1], "\r\nx-api-key: sk-ant-api03-own\r\n"));
  for (const std::string &request : upstream.requests())
    CHECK_FALSE(has(request, kKey));
  CHECK(stage.settled());
  CHECK(stage.books.rows().empty());
  Stage without({upstream.url()}, [](GatewayOptions &options) { options.ownKeys = false; });
  CHECK(without.post(Stage::body(), {{"x-api-key", "sk-ant-api03-own"}}).status == 401);
  CHECK(upstream.requests().size() == 2);
}

TEST_CASE("what is refused here is refused in Anthropic's shape") {
  Upstream upstream(answerOf("200 OK", R"({"input_tokens":3})"));
  Stage stage({upstream.url()}, [](GatewayOptions &options) { options.maxBody = options.server.maxBody = 1000; });
  const auto type = [](const Response &answer) {
    const std::size_t at = answer.body.find("\"error\":{\"type\":\"") + 17;
    return std::to_string(answer.status) + " " + answer.body.substr(at, answer.body.find('"', at) - at);
  };
  const Headers token{{"x-api-key", kToken}};
  CHECK(type(stage.post(std::string(1001, ' '))) == "413 request_too_large");
  RawConnection chunked(stage.port());
  chunked.send("POST /v1/messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nx-api-key: " +
               std::string(kToken) + "\r\n\r\n7d0\r\n" + std::string(2000, ' ') + "\r\n0\r\n\r\n");
  CHECK(type(chunked.receiveResponse()) == "413 request_too_large");
  CHECK(type(stage.post(Stage::body(), {{"x-api-key", kToken}, {"Content-Encoding", "gzip"}})) ==
        "415 invalid_request_error");
  CHECK(type(stage.post("{}")) == "400 invalid_request_error");
  CHECK(type(stage.post("not JSON")) == "400 invalid_request_error");
  CHECK(type(stage.post(Stage::body(1, false, R"(,"max_tokens":2)"))) == "400 invalid_request_error");
  CHECK(type(stage.post("{}", token, "/v1/complete")) == "404 not_found_error");
  CHECK(type(stage.post("{}", token, "/v1/messages/batches")) == "404 not_found_error");
  CHECK(type(matrixos::test::request(stage.port(), "GET", "/v1/messages", token)) == "405 invalid_request_error");
  CHECK(type(matrixos::test::request(stage.port(), "GET", "/v1/models",
                                     {{"x-api-key", kToken},
                                      {"Connection", "Upgrade"},
                                      {"Upgrade", "websocket"},
                                      {"Sec-WebSocket-Version", "13"},
                                      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}})) ==
        "400 invalid_request_error");
  CHECK(upstream.requests().empty());
  // These pass, and cost nothing.
  CHECK(stage.post("{}", token, "/v1/messages/count_tokens?beta=true").body == R"({"input_tokens":3})");
  CHECK(matrixos::test::request(stage.port(), "GET", "/v1/models?limit=1000", token).status == 200);
  REQUIRE(upstream.requests().size() == 2);
  CHECK(upstream.requests()[1].rfind("GET /v1/models?limit=1000 HTTP/1.1\r\n", 0) == 0);
  CHECK(stage.settled());
  CHECK(stage.books.rows().empty());
}

TEST_CASE("messages go to an instance's gateway, from who sends them") {
  Upstream bob(answerOf("200 OK", R"({"ok":true})"));
  Upstream upstream(answerOf("200 OK", "{}"));
  Stage stage({upstream.url()});
  const Headers admin{{"Authorization", std::string("Bearer ") + kSecret}};
  const Headers token{{"x-api-key", kToken}};
  CHECK(stage.post(R"({"handle":"bob","gatewayUrl":")" + bob.url() + "\"}", admin, "/instances/register").status ==
        201);
  CHECK(has(matrixos::test::request(stage.port(), "GET", "/instances", admin).body,
            R"([{"handle":"bob","gatewayUrl":")"));
  const std::string forged = R"({"text":"hi","from":{"handle":"mallory","displayName":"M"},"more":1})";
  const Response answer = stage.post(forged, token, "/send/bob");
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"ok":true})");
  CHECK(stage.post(forged, admin, "/send/bob").status == 200);
  REQUIRE(bob.requests().size() == 2);
  CHECK(bob.requests()[0].rfind("POST /api/message HTTP/1.1\r\n", 0) == 0);
  CHECK(bodyOf(bob.requests()[0]) == R"({"text":"hi","from":{"handle":"alice","displayName":"M"}})");
  CHECK(bodyOf(bob.requests()[1]) == R"({"text":"hi","from":{"handle":"mallory","displayName":"M"}})");
  for (const std::string &request : bob.requests())
    CHECK_FALSE((has(request, kToken) || has(request, kSecret) || has(request, kKey)));
  CHECK(stage.post(forged, token, "/send/carol").status == 404);
  CHECK(stage.post(R"({"text":""})", token, "/send/bob").status == 400);
  CHECK(stage.post(R"({"text":"hi"})", admin, "/send/bob").status == 400); // from whom?
  CHECK(matrixos::test::request(stage.port(), "DELETE", "/instances/bob", admin).status == 200);
  CHECK(matrixos::test::request(stage.port(), "DELETE", "/instances/bob", admin).status == 404);
  CHECK(stage.post(forged, token, "/send/bob").status == 404);
  CHECK(upstream.requests().empty());
}

TEST_CASE("what calls cost is told to who may know it") {
  Upstream upstream(answerOf("200 OK", messageOf(10, 20)));
  Stage stage({upstream.url()});
  matrixos::InstanceRecord alice;
  alice.id = "01ALICE";
  alice.handle = "alice";
  alice.status = matrixos::InstanceStatus::Running;
  stage.instances.apply(alice);
  const Headers admin{{"Authorization", std::string("Bearer ") + kSecret}};
  const Headers token{{"x-api-key", kToken}};
  const auto get = [&](const std::string &path, const Headers &who) {
    return matrixos::test::request(stage.port(), "GET", path, who);
  };
  REQUIRE(stage.post(Stage::body()).status == 200);
  REQUIRE(stage.settled());
  for (const auto &[path, who] :
       std::vector<std::pair<std::string, Headers>>{{"/usage/me", token},
                                                    {"/usage/alice", admin},
                                                    {"/usage/alice?since=2020-01-01T00%3A00%3A00Z", admin},
                                                    {"/usage/summary", admin}}) {
    CAPTURE(path);
    const Response answer = get(path, who);
    CHECK(answer.status == 200);
    CHECK(has(answer.body, "0.00011"));
  }
  CHECK(has(get("/usage/alice?format=csv", admin).body, "0.00011"));
  CHECK(get("/usage/alice?format=csv", admin).headers.at("content-type") == "text/csv; charset=utf-8");
  CHECK(get("/usage/alice/daily", admin).status == 200);
  CHECK(get("/usage/nobody", admin).status == 404);
  CHECK(get("/usage/alice/daily?from=yesterday", admin).status == 400);
  for (const char *path : {"/usage/summary", "/usage/alice", "/usage/alice/daily"}) {
    CHECK(get(path, token).status == 403);
    CHECK(get(path, {}).status == 401);
  }
  CHECK(get("/usage/me", admin).status == 403);
  CHECK(stage.post(R"({"dailyLimitUsd":0})", token, "/quotas/alice").status == 403);
  CHECK(stage.post(R"({"dailyLimitUsd":0})", admin, "/quotas/alice").status == 200);
  CHECK(stage.post(Stage::body()).status == 429);
  CHECK(stage.post(R"({"dailyLimitUsd":null})", admin, "/quotas/alice").status == 200);
  CHECK(stage.post(Stage::body()).status == 200);
  CHECK(stage.post("{", admin, "/quotas/alice").status == 400);
}
