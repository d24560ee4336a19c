/// The client and the API server with each other.
#include "unit/http/HttpTestSupport.h"

#include <doctest/doctest.h>
#include <http/client/HttpClient.h>

#include <atomic>
#include <vector>

using namespace httptest;
using namespace matrixos;
using http::BaseUrl;
using http::ClientRequest;
using http::HttpClient;

namespace {

ClientRequest requestTo(const std::string &method, const std::string &target, const std::string &body = {}) {
  ClientRequest request;
  request.method = method;
  request.target = target;
  request.body = body;
  return request;
}

} // namespace

TEST_CASE("the client speaks to the API over unix sockets and TCP") {
  TestServer server;
  for (const std::string &endpoint :
       {"unix:" + server.apiPath(), "http://127.0.0.1:" + std::to_string(server.port())}) {
    CAPTURE(endpoint);
    for (const std::size_t keep : {0U, 2U}) {
      HttpClient client({keep, {}});
      const auto send = [&](const ClientRequest &request) {
        return client.send(Call(nullptr), BaseUrl::parse(endpoint), request);
      };
      const auto hello = send(requestTo("GET", "/hello"));
      CHECK(hello.status == 200);
      CHECK(hello.body == "hello");
      CHECK(hello.find("content-type") == "text/plain");
      const std::string body(60000, 'x');
      CHECK(send(requestTo("POST", "/echo", body)).body == body);
      CHECK(send(requestTo("POST", "/nobody")).status == 204);
      CHECK(send(requestTo("HEAD", "/hello")).status == 200);
      const auto missing = send(requestTo("DELETE", "/none"));
      CHECK(missing.status == 404);
      CHECK(missing.body.find("NO_ROUTE") != std::string::npos);
      auto secret = requestTo("GET", "/admin-only");
      CHECK(send(secret).status == 401);
      secret.fields.push_back({"Authorization", std::string("Bearer ") + kSecret});
      CHECK(send(secret).body == "admin");
    }
  }
}

TEST_CASE("the client hands over lines while the API streams, and stops on demand") {
  TestServer server;
  std::atomic<bool> more{false};
  std::atomic<bool> cut{false};
  server.server().addRoutes(1, {route("GET", "/lines",
                                      [&](const auto &x) {
                                        x->begin(200, "text/plain", {});
                                        x->write("one\ntw");
                                        x->write("o\r\n");
                                        eventually([&] { return more.load(); });
                                        x->write("\nlast");
                                        x->end();
                                      }),
                                route("GET", "/endless", [&](const auto &x) {
                                  x->begin(200, "text/plain", {});
                                  try {
                                    for (;;)
                                      x->write("tick\n");
                                  } catch (const Error &) {
                                    cut = true;
                                  }
                                })});
  HttpClient client;
  const auto stream = [&](const std::string &target, const http::LineCutter::LineFn &line) {
    return client.streamLines(Call(nullptr), BaseUrl::parse("unix:" + server.apiPath()), requestTo("GET", target),
                              line);
  };
  std::vector<std::string> lines;
  const auto response = stream("/lines", [&](std::string_view line) {
    lines.emplace_back(line);
    if (lines.size() == 2) more = true;
    return true;
  });
  CHECK(response.status == 200);
  CHECK(lines == std::vector<std::string>{"one", "two", "", "last"});
  int ticks = 0;
  stream("/endless", [&](std::string_view) { return ++ticks < 3; });
  CHECK(ticks == 3);
  CHECK(eventually([&] { return cut.load(); }));
  lines.clear();
  const auto refused = stream("/none", [&](std::string_view line) {
    lines.emplace_back(line);
    return true;
  });
  CHECK(refused.status == 404);
  CHECK(lines.empty());
  CHECK(refused.body.find("NO_ROUTE") != std::string::npos);
}
