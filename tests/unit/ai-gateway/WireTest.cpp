/// What HTTP allows clients and upstreams to do, and who may use which route.
#include "Stage.h"

#include <doctest/doctest.h>
#include <http/codec/Traceparent.h>
#include <support/Text.h>

using namespace matrixos::gateway::test;
using namespace matrixos::gateway;
using matrixos::test::eventually;
using matrixos::test::has;
using matrixos::test::RawConnection;
using matrixos::test::request;

namespace {

std::string headOf(const std::string &target, const std::string &fields, const std::string &version = "1.1") {
  return "POST " + target + " HTTP/" + version + "\r\nHost: gateway\r\nx-api-key: " + kToken + "\r\n" + fields + "\r\n";
}
std::string lengthOf(const std::string &body) {
  return "Content-Length: " + std::to_string(body.size()) + "\r\n";
}

/// The value of a field of a request as an upstream got it; empty when it is not there.
std::string fieldOf(const std::string &said, const std::string &name) {
  const std::size_t at = said.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return said.substr(begin, said.find("\r\n", begin) - begin);
}

} // namespace

TEST_CASE("each route is for those who may use it, and for nobody else") {
  Upstream upstream(answerOf("200 OK", "{}"));
  Stage stage({upstream.url()}, [](GatewayOptions &options) { options.passed = {"/v1/files"}; });
  matrixos::InstanceRecord alice;
  alice.id = "01ALICE";
  alice.handle = "alice";
  alice.status = matrixos::InstanceStatus::Running;
  stage.instances.apply(alice);
  enum Who { Nobody, Guess, Token, OwnKey, Secret, TwoOfThem };
  const std::vector<Headers> credentials{{},
                                         {{"x-api-key", "mxi_guess"}},
                                         {{"x-api-key", kToken}},
                                         {{"Authorization", "Bearer sk-ant-own"}},
                                         {{"Authorization", std::string("Bearer ") + kSecret}},
                                         {{"Authorization", std::string("Bearer ") + kSecret}, {"x-api-key", kToken}}};
  struct Row {
    const char *method;
    const char *path;
    std::vector<int> statuses; ///< by Who
  };
  const std::vector<int> call{401, 401, 200, 200, 403, 401}, operators{401, 401, 403, 401, 200, 401},
      nowhere{401, 401, 404, 401, 404, 401};
  const std::vector<Row> rows{
      {"GET", "/health", {200, 200, 200, 200, 200, 200}},
      {"POST", "/v1/messages/count_tokens", call},
      {"GET", "/v1/models", call},
      {"GET", "/v1/models/claude-haiku-4-5", call},
      {"DELETE", "/v1/files/file_1", call},
      {"GET", "/usage/me", {401, 401, 200, 401, 403, 401}},
      {"GET", "/usage/summary", operators},
      {"GET", "/usage/alice", operators},
      {"GET", "/usage/alice/daily", operators},
      {"GET", "/usage/alice?format=csv", operators},
      {"GET", "/instances", operators},
      {"POST", "/quotas/alice", {401, 401, 403, 401, 400, 401}},
      {"POST", "/instances/register", {401, 401, 403, 401, 400, 401}},
      {"DELETE", "/instances/bob", {401, 401, 403, 401, 404, 401}},
      {"POST", "/send/bob", nowhere},
      {"POST", "/v1/complete", nowhere},
      {"GET", "/admin", nowhere},
  };
  for (const Row &row : rows) {
    for (const Who who : {Nobody, Guess, Token, OwnKey, Secret, TwoOfThem}) {
      CAPTURE(row.path);
      CAPTURE(static_cast<int>(who));
      const bool writes = std::string(row.method) == "POST";
      const Response answer = request(stage.port(), row.method, row.path, credentials[who], writes ? "{}" : "");
      CHECK(answer.status == row.statuses[who]);
      CHECK_FALSE(answer.headers.at("request-id").empty());
      if (answer.status >= 400) CHECK(has(answer.body, R"({"type":"error","error":{"type":")"));
      if (answer.status == 404) CHECK(has(answer.body, R"("type":"not_found_error")"));
    }
  }
  CHECK(stage.post(Stage::body(), credentials[Secret]).status == 403);
  CHECK(upstream.requests().size() == 8);
}

TEST_CASE("other methods are told which ones are served; HEAD is asked as HEAD") {
  Upstream upstream([](const Peer &peer, const std::string &said) {
    const bool head = said.rfind("HEAD ", 0) == 0;
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + std::string(head ? "" : "{}"));
  });
  Stage stage({upstream.url()});
  const Headers token{{"x-api-key", kToken}};
  for (const char *method : {"OPTIONS", "PUT", "BREW", "get"}) {
    CAPTURE(method);
    const Response answer = request(stage.port(), method, "/v1/messages", token);
    CHECK(answer.status == 405);
    CHECK(answer.headers.at("allow") == "POST");
    CHECK(has(answer.body, "invalid_request_error"));
  }
  CHECK(request(stage.port(), "POST", "/v1/models", token).headers.at("allow") == "GET, HEAD");
  CHECK(request(stage.port(), "TRACE", "/v1/models", token).status == 405);
  CHECK(upstream.requests().empty());
  RawConnection client(stage.port());
  client.send("HEAD /v1/models?limit=1 HTTP/1.1\r\nHost: a\r\nx-api-key: " + std::string(kToken) + "\r\n\r\n");
  CHECK(client.receiveResponse(true).status == 200);
  client.send("GET /v1/models?after_id=b&limit=2 HTTP/1.1\r\nHost: a\r\nx-api-key: " + std::string(kToken) +
              "\r\n\r\n");
  CHECK(client.receiveResponse().body == "{}");
  REQUIRE(upstream.requests().size() == 2);
  CHECK(upstream.requests()[0].rfind("HEAD /v1/models?limit=1 HTTP/1.1\r\n", 0) == 0);
  CHECK(upstream.requests()[1].rfind("GET /v1/models?after_id=b&limit=2 HTTP/1.1\r\n", 0) == 0);
}

TEST_CASE("a client that asks whether to send its body is told so, unless nobody wants it") {
  Upstream upstream(answerOf("200 OK", messageOf(1, 1)));
  Stage stage({upstream.url()});
  const std::string body = Stage::body();
  RawConnection client(stage.port());
  client.send(headOf("/v1/messages", "Expect: 100-continue\r\n" + lengthOf(body)));
  const std::string goOn = "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK(client.receive(goOn.size()) == goOn);
  client.send(body);
  CHECK(client.receiveResponse().status == 200);
  CHECK(fieldOf(upstream.requests().at(0), "Expect").empty());
  RawConnection stranger(stage.port());
  stranger.send("POST /v1/messages HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + lengthOf(body) + "\r\n");
  CHECK(stranger.receive(12) == "HTTP/1.1 401"); // and no 100 before
  CHECK(upstream.requests().size() == 1);
  CHECK(stage.settled());
}

TEST_CASE("HTTP/1.0 gets a stream that ends with its connection, and costs the same") {
  Upstream upstream(kStreamHead + chunk(startEvent(30)) + chunk(endEvents(20)) + "0\r\n\r\n");
  Stage stage({upstream.url()});
  const std::string body = Stage::body(100, true);
  RawConnection client(stage.port());
  client.send(headOf("/v1/messages", lengthOf(body), "1.0") + body);
  const Response answer = client.receiveResponse();
  CHECK(answer.status == 200);
  CHECK(answer.headers.count("transfer-encoding") == 0);
  CHECK(answer.body == startEvent(30) + endEvents(20));
  REQUIRE(stage.settled());
  REQUIRE(stage.books.rows().size() == 1);
  CHECK(stage.books.rows()[0].cost == Money::ofPico(130'000'000));
}

TEST_CASE("requests that come together are answered in their order, each with its own price") {
  Upstream upstream([](const Peer &peer, const std::string &said) {
    peer.say(answerOf("200 OK", messageOf(has(said, "\"max_tokens\":7,") ? 7 : 8, 1)));
  });
  Stage stage({upstream.url()});
  const std::string first = Stage::body(7), second = Stage::body(8);
  RawConnection client(stage.port());
  client.send(headOf("/v1/messages", lengthOf(first)) + first + headOf("/v1/messages", lengthOf(second)) + second +
              "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(has(client.receiveResponse().body, "\"input_tokens\":7,"));
  CHECK(has(client.receiveResponse().body, "\"input_tokens\":8,"));
  CHECK(client.receiveResponse().body == R"({"status":"ok"})");
  REQUIRE(stage.settled());
  CHECK(stage.books.rows().size() == 2);
}

TEST_CASE("trailers pass in neither direction") {
  Upstream upstream("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: "
                    "x-echo\r\n\r\n" +
                    chunk(messageOf(1, 1)) + "0\r\nx-echo: " + kKey + "\r\nSet-Cookie: a=b\r\n\r\n");
  Stage stage({upstream.url()});
  RawConnection client(stage.port());
  client.send(headOf("/v1/messages", "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: x-note\r\n") +
              chunk(Stage::body()) + "0\r\nx-note: late\r\nx-api-key: mxi_bob\r\n\r\n");
  std::string all;
  while (!has(all, "\r\n0\r\n") || all.substr(all.size() - 4) != "\r\n\r\n") {
    const std::string more = client.receive(1);
    REQUIRE_FALSE(more.empty());
    all += more;
  }
  CHECK(has(all, "\"output_tokens\":1"));
  for (const char *gone : {"canary", "x-echo", "Set-Cookie"})
    CHECK_FALSE(has(all, gone));
  REQUIRE(upstream.requests().size() == 1);
  for (const char *gone : {"x-note", "late", "mxi_"})
    CHECK_FALSE(has(upstream.requests()[0], gone));
  CHECK(stage.settled());
}

TEST_CASE("where a byte of an answer came no other place is tried") {
  for (const std::string &said : {kStreamHead + chunk(startEvent(40)), std::string("HTTP/1.1 200 OK\r\nConte")}) {
    CAPTURE(said);
    Upstream first([&](const Peer &peer, const std::string &) {
      peer.say(said);
      peer.finish();
    });
    Upstream second(answerOf("200 OK", messageOf(1, 1)));
    Stage stage({first.url(), second.url()});
    auto client = stage.sent(Stage::body(100, true));
    CHECK(client.receiveResponse().status != 200);
    REQUIRE(stage.settled());
    CHECK(first.requests().size() == 1);
    CHECK(second.requests().empty());
    CHECK(stage.books.rows().size() == 1);
  }
}

TEST_CASE("every call has one trace, the caller's if it is sound, and the log names it") {
  Upstream upstream(answerOf("200 OK", messageOf(1, 1)));
  Stage stage({upstream.url()});
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto traceOf = [&](Headers fields) {
    fields.emplace_back("x-api-key", kToken);
    CHECK(stage.post(Stage::body(), fields).status == 200);
    return fieldOf(upstream.requests().back(), "traceparent");
  };
  CHECK(traceOf({{"traceparent", trace}, {"tracestate", "a=b"}}) == trace);
  CHECK(fieldOf(upstream.requests().back(), "tracestate") == "a=b");
  const std::string made = traceOf({});
  CHECK(matrixos::http::isTraceparent(made));
  CHECK(traceOf({}) != made);
  CHECK(matrixos::http::isTraceparent(traceOf({{"traceparent", kToken}, {"tracestate", "a=b"}})));
  CHECK(fieldOf(upstream.requests().back(), "tracestate").empty());
  CHECK(matrixos::http::isTraceparent(traceOf({{"traceparent", trace}, {"traceparent", trace}})));
  REQUIRE(eventually([&] { return stage.log(), stage.books.host->lines("request").size() == 5; }));
  const auto lines = stage.books.host->lines("request");
  CHECK(lines[0].fields.at("traceparent") == trace);
  for (const auto &line : lines)
    CHECK(matrixos::http::isTraceparent(line.fields.at("traceparent")));
}

TEST_CASE("a message does not go to whoever has the address by now") {
  Upstream bob(answerOf("200 OK", "{}"));
  Upstream upstream(answerOf("200 OK", "{}"));
  Stage stage({upstream.url()});
  const std::string port = bob.url().substr(bob.url().rfind(':'));
  const matrixos::http::Resolution here{{*matrixos::Address::tryIp("127.0.0.1")}, std::chrono::seconds{0}};
  stage.resolver->ask = [&](const std::string &) { return here; };
  const auto send = [&] {
    stage.instances.enter("bob", "http://bob.example" + port, 0);
    return stage.post(R"({"text":"hi"})", {{"x-api-key", kToken}}, "/send/bob").status;
  };
  CHECK(send() == 200);
  stage.resolver->ask = [&](const std::string &) {
    stage.instances.forget("bob");
    return here;
  };
  CHECK(send() == 502);
  CHECK(bob.requests().size() == 1);
}
