// What a plugin fetches, from servers that do what the test says.
#include "plugin/HostContext.h"
#include "sdk/http/TlsKit.h"
#include "support/ScriptedServer.h"
#include "support/Text.h"
#include "support/Wait.h"
#include "unit/plugin/HostFixture.h"

#include <matrixos/call.hpp>
#include <matrixos/host/fetch.hpp>

#include <doctest/doctest.h>

#include <future>
#include <optional>

using namespace matrixos;
using namespace matrixos::test;

namespace {

plugin::Manifest manifestOf(const char *id) {
  plugin::Manifest manifest;
  manifest.id = id;
  manifest.version = "1.0.0";
  return manifest;
}

/// A plugin's host, and what it fetches with.
struct Fetching {
  HostFixture fixture;
  std::shared_ptr<plugin::HostContext> context =
      plugin::HostContext::make(manifestOf("fetching"), fixture.platform.core);
  Fetch fetch{context->host()};

  ~Fetching() { context->sweep(std::chrono::seconds{5}); }

  /// The reason of the failure; "" when there is none.
  std::string failure(const FetchRequest &request, const mos_call *call = nullptr) const {
    try {
      fetch.send(request, call);
      return {};
    } catch (const Error &e) {
      CAPTURE(e.what());
      return e.reason();
    }
  }
};

FetchRequest to(const std::string &url) {
  FetchRequest request;
  request.url = url;
  request.allowPrivate = true;
  return request;
}

std::string urlOf(const ScriptedServer &server, const std::string &path = "/", const char *host = "127.0.0.1") {
  return std::string("http://") + host + ":" + std::to_string(server.port()) + path;
}

std::string answer(const std::string &head, const std::string &body = "") {
  return "HTTP/1.1 " + head + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Serves each request of a connection with what `reply` makes of it.
ScriptedServer::Script replies(std::function<std::string(const std::string &request)> reply) {
  return [reply = std::move(reply)](const test::Peer &peer) {
    for (std::string request = peer.readRequest(); !request.empty(); request = peer.readRequest())
      if (!peer.say(reply(request))) return;
  };
}

} // namespace

TEST_CASE_FIXTURE(Fetching, "a fetch brings a whole answer, whatever its status, over a connection that is kept") {
  std::string seen;
  ScriptedServer server(replies([&](const std::string &request) {
    seen = request;
    return has(request, "POST") ? answer("201 Created\r\nX-Id: 7", "made") : answer("404 Not Found", "nothing");
  }));
  server.listen();
  FetchRequest post = to(urlOf(server, "/things?a=b%20c"));
  post.method = "POST";
  post.headers = {{"Content-Type", "text/plain"}, {"X-Trace", ""}};
  post.body = "a thing";
  const FetchAnswer made = fetch.send(post);
  CHECK(made.status == 201);
  CHECK(made.body == "made");
  CHECK(made.header("x-id") == "7");
  CHECK_FALSE(made.header("X-Other").has_value());
  CHECK(has(seen, "POST /things?a=b%20c HTTP/1.1\r\n"));
  CHECK(has(seen, "Content-Type: text/plain\r\n"));
  CHECK(has(seen, "\r\n\r\na thing"));
  const FetchAnswer missing = fetch.send(to(urlOf(server, "/none")));
  CHECK(missing.status == 404);
  CHECK(missing.body == "nothing");
  CHECK_FALSE(missing.isSuccess());
  CHECK(server.connections() == 1);
  const std::string metrics = fixture.platform.metrics.exposition();
  CHECK(has(metrics, R"(matrixos_plugin_fetches_total{plugin="fetching",result="2xx"} 1)"));
  CHECK(has(metrics, R"(matrixos_plugin_fetches_total{plugin="fetching",result="4xx"} 1)"));
}

TEST_CASE_FIXTURE(Fetching, "addresses that are not public are not connected to, whatever name they have") {
  ScriptedServer server(replies([](const std::string &) { return answer("200 OK", "inside"); }));
  server.listen();
  const std::string port = std::to_string(server.port());
  // One that may go there leaves a connection behind, which is not for the others.
  CHECK(fetch.send(to(urlOf(server))).body == "inside");
  for (const char *host :
       {"127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]",
        "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]"}) {
    CAPTURE(host);
    FetchRequest request = to(std::string("http://") + host + ":" + port + "/");
    request.allowPrivate = false;
    CHECK(failure(request) == "NOT_PUBLIC");
  }
  CHECK(server.connections() == 1);
  CHECK(has(fixture.platform.metrics.exposition(),
            R"(matrixos_plugin_fetches_total{plugin="fetching",result="failed"} 13)"));
}

TEST_CASE_FIXTURE(Fetching, "a request that could mean two things is not written") {
  ScriptedServer server(replies([](const std::string &) { return answer("200 OK"); }));
  server.listen();
  for (const char *url : {"", "example.org", "//example.org", "ftp://example.org/", "file:///etc/passwd",
                          "unix:/run/x.sock", "http://", "http:///x", "http://a:b@example.org/",
                          "http://a@example.org/", "http://example.org:0/", "http://example.org:99999/",
                          "http://exa mple.org/", "http://example.org/\r\nX: y", "http://example.org\\@127.0.0.1/"}) {
    CAPTURE(url);
    CHECK(failure(to(url)) == "BAD_URL");
  }
  using Header = std::pair<std::string, std::string>;
  for (const Header &header : {Header{"X\r\nY", "z"},
                               {"X", "y\r\nZ: 1"},
                               {"X", std::string("y\0", 2)},
                               {"", "x"},
                               {"Host", "other"},
                               {"hOST", "other"},
                               {"Content-Length", "1"},
                               {"Transfer-Encoding", "chunked"},
                               {"Connection", "close"}}) {
    CAPTURE(header.first);
    FetchRequest request = to(urlOf(server));
    request.headers = {header};
    CHECK(failure(request) == "BAD_REQUEST");
  }
  FetchRequest connect = to(urlOf(server));
  connect.method = "CONNECT";
  CHECK(failure(connect) == "BAD_REQUEST");
  CHECK(server.connections() == 0);
}

TEST_CASE_FIXTURE(Fetching, "a stream comes in pieces, and ends when its receiver says so") {
  ScriptedServer server([](const test::Peer &peer) {
    static_cast<void>(peer.readRequest());
    peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n");
    peer.hang(); // until the receiver, who has seen the first piece, goes
  });
  server.listen();
  std::string seen;
  const FetchAnswer streamed = fetch.stream(
      to(urlOf(server)),
      [&](const FetchAnswer &head) {
        seen += std::to_string(head.status) + " " + std::string(head.header("content-type").value_or("")) + ": ";
        return true;
      },
      [&](std::string_view bytes) {
        seen += bytes;
        return false;
      });
  CHECK(seen == "200 text/event-stream: first ");
  CHECK(streamed.status == 200);
  CHECK(streamed.body.empty());
  const FetchAnswer head = fetch.stream(
      to(urlOf(server)), [](const FetchAnswer &) { return false; }, [](std::string_view) { return true; });
  CHECK(head.status == 200);
  CHECK_THROWS_WITH_AS(fetch.stream(to(urlOf(server)), nullptr,
                                    [](std::string_view) -> bool { throw std::runtime_error("a receiver's own"); }),
                       "a receiver's own", std::runtime_error);
}

TEST_CASE_FIXTURE(Fetching,
                  "an answer that is too long, too slow, broken or never there is a failure with its reason") {
  ScriptedServer server([](const test::Peer &peer) {
    const std::string request = peer.readRequest();
    if (has(request, "/long")) peer.say(answer("200 OK", std::string(2000, 'x')));
    if (has(request, "/chunks")) {
      peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      while (peer.say("3e8\r\n" + std::string(1000, 'x') + "\r\n"))
        ;
    }
    if (has(request, "/head")) peer.say("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n");
    if (has(request, "/broken")) peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    if (has(request, "/silent")) peer.hang();
  });
  server.listen();
  const auto failureAt = [&](const char *path, auto &&change) {
    FetchRequest request = to(urlOf(server, path));
    change(request);
    return failure(request);
  };
  CHECK(failureAt("/long", [](FetchRequest &r) { r.maxBody = 1999; }) == "TOO_LARGE");
  CHECK(failureAt("/long", [](FetchRequest &r) { r.maxBody = 2000; }).empty());
  CHECK(failureAt("/chunks", [](FetchRequest &) {}) == "TOO_LARGE");
  CHECK(failureAt("/head", [](FetchRequest &) {}) == "TOO_LARGE");
  CHECK(failureAt("/broken", [](FetchRequest &) {}) == "INCOMPLETE");
  CHECK(failureAt("/silent", [](FetchRequest &r) { r.timeout = std::chrono::milliseconds{50}; }) == "TIMEOUT");
  CHECK(failureAt("/silent", [](FetchRequest &r) { r.maxSilence = std::chrono::milliseconds{50}; }) == "TIMEOUT");
  const LoopbackPort nobody; // bound, and not listening
  CHECK(failure(to("http://127.0.0.1:" + std::to_string(nobody.port()) + "/")) == "UNREACHABLE");
}

TEST_CASE_FIXTURE(Fetching, "a fetch ends with its call, and with the plugin") {
  std::atomic<int> waiting{0};
  ScriptedServer server([&](const test::Peer &peer) {
    static_cast<void>(peer.readRequest());
    ++waiting;
    peer.hang();
  });
  server.listen();
  CallScope call(std::chrono::minutes{10});
  auto cancelled = std::async(std::launch::async, [&] { return failure(to(urlOf(server)), call.abi()); });
  REQUIRE(eventually([&] { return waiting == 1; }));
  call.cancel();
  CHECK(cancelled.get() == "CANCELLED");
  const CallScope late(std::chrono::milliseconds{20});
  CHECK(failure(to(urlOf(server)), late.abi()) == "TIMEOUT");

  // No more of them at once than is said.
  waiting = 0;
  std::vector<std::future<std::string>> many;
  for (int i = 0; i < MOS_FETCH_AT_ONCE; ++i)
    many.push_back(std::async(std::launch::async, [&] { return failure(to(urlOf(server))); }));
  REQUIRE(eventually([&] { return waiting == MOS_FETCH_AT_ONCE; }));
  CHECK(failure(to(urlOf(server))) == "FETCH_BUSY");
  CHECK(context->sweep(std::chrono::seconds{20}).empty());
  for (auto &one : many)
    CHECK(one.get() == "STOPPING");
  CHECK(failure(to(urlOf(server))) == "STOPPED");
}

TEST_CASE_FIXTURE(Fetching, "redirects are answers, unless the request wants them followed") {
  std::vector<std::string> seen;
  std::optional<ScriptedServer> other;
  const auto reply = [&](const std::string &request) {
    seen.push_back(request);
    const std::string path = request.substr(request.find(' ') + 1, request.find(" HTTP") - request.find(' ') - 1);
    const auto redirect = [](const std::string &status, const std::string &where) {
      return answer(status + "\r\nLocation: " + where, "elsewhere");
    };
    if (path == "/a/relative") return redirect("302 Found", "../b?c=d");
    if (path == "/other") return redirect("307 Temporary Redirect", urlOf(*other, "/there"));
    if (path == "/see") return redirect("303 See Other", "/there");
    if (path == "/same") return redirect("308 Permanent Redirect", "/there");
    if (path == "/loop") return redirect("301 Moved Permanently", "/loop");
    if (path == "/secret") return redirect("302 Found", "http://a:b@127.0.0.1/");
    if (path == "/file") return redirect("302 Found", "file:///etc/passwd");
    if (path == "/none") return answer("302 Found", "no location");
    return answer("200 OK", "arrived");
  };
  other.emplace(replies(reply));
  other->listen();
  ScriptedServer server(replies(reply));
  server.listen();
  const auto follow = [&](const std::string &path, std::uint32_t most = 5) {
    seen.clear();
    FetchRequest request = to(urlOf(server, path));
    request.maxRedirects = most;
    request.headers = {{"Authorization", "Bearer x"}, {"COOKIE", "a=b"}, {"X-Api-Key", "k"}, {"X-Trace", "t"}};
    return request;
  };
  CHECK(fetch.send(follow("/a/relative", 0)).status == 302);
  const FetchAnswer relative = fetch.send(follow("/a/relative"));
  CHECK(relative.body == "arrived");
  REQUIRE(seen.size() == 2);
  CHECK(has(seen[1], "GET /b?c=d HTTP/1.1\r\n"));
  CHECK(has(seen[1], "Authorization: Bearer x\r\n"));

  CHECK(fetch.send(follow("/other")).body == "arrived");
  REQUIRE(seen.size() == 2);
  CHECK(has(seen[1], "X-Trace: t\r\n"));
  for (const char *credential : {"Authorization", "COOKIE", "X-Api-Key"}) {
    CHECK(has(seen[0], credential));
    CHECK_FALSE(has(seen[1], credential));
  }

  const auto post = [&](const std::string &path) {
    FetchRequest request = follow(path);
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "text/plain");
    request.body = "a body";
    return request;
  };
  CHECK(fetch.send(post("/see")).body == "arrived");
  CHECK(has(seen.at(1), "GET /there HTTP/1.1\r\n"));
  CHECK_FALSE(has(seen.at(1), "a body"));
  CHECK_FALSE(has(seen.at(1), "Content-Type"));
  CHECK(fetch.send(post("/same")).body == "arrived");
  CHECK(has(seen.at(1), "POST /there HTTP/1.1\r\n"));
  CHECK(has(seen.at(1), "a body"));
  CHECK(failure(post("/other")) == "FETCH_REDIRECT");
  CHECK(failure(follow("/loop")) == "FETCH_REDIRECT");
  CHECK(seen.size() == 6);
  CHECK(failure(follow("/loop", 100)) == "FETCH_REDIRECT");
  CHECK(seen.size() == 6);
  CHECK(failure(follow("/secret")) == "FETCH_REDIRECT");
  CHECK(failure(follow("/file")) == "FETCH_REDIRECT");
  CHECK(fetch.send(follow("/none")).body == "no location");
}

TEST_CASE_FIXTURE(Fetching, "TLS is verified, and never left for a connection in clear") {
  ScriptedServer plain(replies([](const std::string &) { return answer("200 OK", "in clear"); }));
  plain.listen();
  const stand::Authority authority, stranger;
  const auto serve = [&](SSL *ssl) {
    static_cast<void>(stand::readHead(ssl));
    stand::sendAll(ssl, answer("302 Found\r\nLocation: " + urlOf(plain), "moved"));
  };
  const stand::TlsUpstream server(authority.issue({{"IP:127.0.0.1"}}), serve);
  const stand::TlsUpstream misnamed(authority.issue({{"other.example"}}), serve);
  const auto roots = [&](const stand::Authority &of, const char *name) {
    writeFile(fixture.dir / name, of.pem());
    return (fixture.dir / name).string();
  };
  const auto ask = [&](const stand::TlsUpstream &whom, const std::string &caFile) {
    FetchRequest request = to("https://127.0.0.1:" + std::to_string(whom.port()) + "/");
    request.caFile = caFile;
    return request;
  };
  const std::string trusted = roots(authority, "ours.pem");
  CHECK(fetch.send(ask(server, trusted)).body == "moved");
  // What one fetch trusts is not trusted by the next.
  CHECK(failure(ask(server, "")) == "TLS_FAILED");
  CHECK(failure(ask(server, roots(stranger, "theirs.pem"))) == "TLS_FAILED");
  CHECK(failure(ask(server, "/nowhere.pem")) == "TLS_FAILED");
  CHECK(failure(ask(misnamed, trusted)) == "TLS_FAILED");
  FetchRequest downgraded = ask(server, trusted);
  downgraded.maxRedirects = 5;
  CHECK(failure(downgraded) == "FETCH_REDIRECT");
  CHECK(plain.connections() == 0);
}
