/// What goes over the wire, and what a well-behaved server's answer becomes.
#include "Exchanges.h"

#include <support/TempDir.h>
#include <support/Text.h>
#include <support/Wait.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

using namespace matrixos;
using namespace matrixos::http;
using namespace matrixos::http::test;
using matrixos::test::eventually;
using matrixos::test::has;
using matrixos::test::TempDir;

namespace {

const Call kCall(nullptr);

/// Answers every request of a connection alike.
Gateway::Serve keepsAnswering(const std::string &body) {
  return [body](const Peer &peer) {
    do
      peer.answer("200 OK", "text/plain", body);
    while (!peer.readRequest().empty());
  };
}

} // namespace

TEST_CASE("an exchange carries what was asked and nothing of the environment") {
  ::setenv("http_proxy", "http://127.0.0.1:9", 1);
  ::setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
  const Gateway gateway([](const Peer &peer) { peer.answer("200 OK", "application/json", "{}"); });
  ClientRequest request = post(R"({"a":1})", "/x?y=%20\"{}|\\");
  request.fields = {{"Content-Type", "application/json"}, {"X-Empty", ""}};
  const ClientResponse response = HttpClient().send(kCall, BaseUrl::parse(gateway.url() + "/base"), request);
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  CHECK(response.status == 200);
  CHECK(response.find("CONTENT-type") == "application/json");
  CHECK_FALSE(response.find("Content").has_value());
  CHECK(response.body == "{}");
  const std::string sent = gateway.requests().at(0);
  CHECK(sent.find("POST /base/x?y=%20\"{}|\\ HTTP/1.1\r\nHost: 127.0.0.1:") == 0);
  CHECK(has(sent, "\r\nContent-Type: application/json\r\n"));
  CHECK(has(sent, "\r\nX-Empty:\r\n"));
  CHECK(has(sent, "\r\n\r\n{\"a\":1}"));
  for (const char *unasked : {"Expect", "Accept-Encoding", "User-Agent", "Cookie", "Authorization", "urlencoded"}) {
    CAPTURE(unasked);
    CHECK_FALSE(has(sent, unasked));
  }
}

TEST_CASE("methods, with and without a body") {
  const Gateway gateway([](const Peer &peer) { peer.say("HTTP/1.1 204 No Content\r\n\r\n"); });
  HttpClient client;
  for (const char *method : {"GET", "DELETE", "POST", "PUT", "PATCH"}) {
    CAPTURE(method);
    ClientRequest request = get();
    request.method = method;
    CHECK(client.send(kCall, urlOf(gateway), request).status == 204);
    const std::string bare = gateway.requests().back();
    CHECK(bare.find(method + std::string(" / HTTP/1.1\r\n")) == 0);
    CHECK(has(bare, "Content-Length: 0\r\n") == (method[0] == 'P'));
    request.body = "body";
    CHECK(client.send(kCall, urlOf(gateway), request).status == 204);
    CHECK(has(gateway.requests().back(), "Content-Length: 4\r\n"));
    CHECK(has(gateway.requests().back(), "\r\n\r\nbody"));
  }
  const Gateway bodiless(says("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"));
  ClientRequest head = get();
  head.method = "HEAD";
  head.maxBody = 10;
  const ClientResponse response = client.send(kCall, urlOf(bodiless), head);
  CHECK(response.find("content-length") == "500");
  CHECK(response.body.empty());
}

TEST_CASE("a request that could be read in two ways is not sent") {
  const Gateway gateway(says("HTTP/1.1 204 No Content\r\n\r\n"));
  HttpClient client;
  const auto refused = [&](const ClientRequest &request) {
    try {
      client.send(kCall, urlOf(gateway), request);
    } catch (const Error &error) {
      return error.status() == Status::InvalidArgument;
    }
    return false;
  };
  for (const char *method : {"", "G T", "GET\r\n", "CONNECT"}) {
    CAPTURE(method);
    ClientRequest request = get();
    request.method = method;
    CHECK(refused(request));
  }
  for (const char *target : {"", "hello", "*", "http://x/", "/a b", "/a\r\nX: y", "/#part", "/\x7f", "/\xc3\xa4"}) {
    CAPTURE(target);
    CHECK(refused(get(target)));
  }
  for (const ClientField &field : std::vector<ClientField>{{"X-A", "b\r\nX-C: d"},
                                                           {"", "a"},
                                                           {"X A", "b"},
                                                           {"X:", "b"},
                                                           {"Content-Length", "3"},
                                                           {"transfer-encoding", "chunked"},
                                                           {"Connection", "close"},
                                                           {"Expect", "100-continue"},
                                                           {"Upgrade", "websocket"}}) {
    CAPTURE(field.name);
    ClientRequest request = get();
    request.fields.push_back(field);
    CHECK(refused(request));
  }
  CHECK(gateway.requests().empty());
}

TEST_CASE("unix sockets, with odd paths too") {
  const TempDir dir;
  HttpClient client;
  for (const char *name : {"plain.sock", "a b", "%2f?x#y", "\xc3\xa4 \"'", "@sock"}) {
    CAPTURE(name);
    const std::string path = (dir / name).string();
    const Gateway gateway(keepsAnswering("hello"), path);
    CHECK(client.send(kCall, BaseUrl::parse("unix:" + path), get("/x")).body == "hello");
    CHECK(has(gateway.requests().at(0), "GET /x HTTP/1.1\r\nHost: localhost\r\n"));
    CHECK(client.send(kCall, BaseUrl::unixSocket(path, "engine"), get()).body == "hello");
    CHECK(has(gateway.requests().at(1), "Host: engine\r\n"));
  }
  const std::string longest = (dir / std::string(106 - dir.path().string().size(), 'a')).string();
  REQUIRE(longest.size() == 107);
  const Gateway gateway(keepsAnswering("far"), longest);
  CHECK(client.send(kCall, BaseUrl::parse("unix:" + longest), get()).body == "far");
}

TEST_CASE("nobody there: nothing was sent, so another address may be asked") {
  const TempDir dir;
  const ClosedPort closed;
  const std::string file = (dir / "file").string();
  matrixos::test::writeFile(file, "no socket");
  HttpClient client;
  for (const std::string &url :
       {"http://127.0.0.1:" + std::to_string(closed.port()), "unix:" + (dir / "none.sock").string(), "unix:" + file}) {
    CAPTURE(url);
    const auto error = failureOf([&] { client.send(kCall, BaseUrl::parse(url), get()); });
    REQUIRE(error);
    CHECK(error->cause() == Cause::Unreachable);
    CHECK(error->status() == Status::Unavailable);
    CHECK_FALSE(error->sent());
    CHECK_FALSE(has(error->what(), url)); // it may be shown to strangers
  }
}

TEST_CASE("a socket that may not be opened is Denied") {
  const TempDir dir;
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
  const std::string path = (dir / "sock").string();
  const Gateway gateway(keepsAnswering("x"), path);
  // Root passes every permission, so another user asks.
  const bool root = ::geteuid() == 0;
  REQUIRE(::chmod(path.c_str(), root ? 0600 : 0) == 0);
  if (root) REQUIRE(::seteuid(65534) == 0);
  const auto error = failureOf([&] { HttpClient().send(kCall, BaseUrl::parse("unix:" + path), get()); });
  if (root) REQUIRE(::seteuid(0) == 0);
  REQUIRE(error);
  CHECK(error->cause() == Cause::Denied);
  CHECK(error->status() == Status::PermissionDenied);
}

TEST_CASE("a redirect is an answer, not an instruction") {
  const Gateway target(keepsAnswering("gone there"));
  const Gateway gateway(says("HTTP/1.1 302 Found\r\nLocation: " + target.url() + "\r\nContent-Length: 0\r\n\r\n"));
  CHECK(HttpClient().send(kCall, urlOf(gateway), get()).status == 302);
  CHECK(target.requests().empty());
}

TEST_CASE("interim answers are passed over, trailers are no fields") {
  const Gateway gateway(says("HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
                             "3;ext=1\r\nabc\r\n0\r\nX-Late: 1\r\nContent-Length: 7\r\n\r\n"));
  const ClientResponse response = HttpClient().send(kCall, urlOf(gateway), get());
  CHECK(response.status == 200);
  CHECK(response.body == "abc");
  CHECK(response.find("x-a") == "1");
  for (const char *name : {"x-early", "link", "x-late", "content-length"})
    CHECK_FALSE(response.find(name).has_value());
}

TEST_CASE("a streamed body comes piece by piece, other bodies are kept") {
  std::atomic<bool> more{false};
  const Gateway gateway([&](const Peer &peer) {
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\none\ntw\r\n");
    eventually([&] { return more.load() || peer.stopping(); });
    peer.say("3\r\no\r\n\r\n5\r\n\nlast\r\n0\r\n\r\n");
  });
  std::vector<std::string> lines;
  HttpClient client;
  const auto take = [&](std::string_view line) {
    lines.emplace_back(line);
    more = true; // the rest is sent only when this came
    return true;
  };
  const ClientResponse response = client.streamLines(kCall, urlOf(gateway), get(), take);
  CHECK(response.status == 200);
  CHECK_FALSE(response.stopped);
  CHECK(lines == std::vector<std::string>{"one", "two", "", "last"});

  lines.clear();
  const Gateway refusing([](const Peer &peer) { peer.answer("404 Not Found", "text/plain", "no\nsuch"); });
  const ClientResponse refused = client.streamLines(kCall, urlOf(refusing), get(), take);
  CHECK(refused.status == 404);
  CHECK(refused.body == "no\nsuch");
  CHECK(lines.empty());
}

TEST_CASE("a receiver may stop a stream, or throw") {
  std::atomic<int> gone{0};
  const Gateway endless([&](const Peer &peer) {
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na\nb\n\r\n");
    peer.hang();
    ++gone;
  });
  HttpClient client({4, {}});
  CHECK(client.stream(kCall, urlOf(endless), get(), [](std::string_view) { return false; }).stopped);
  int lines = 0;
  CHECK(client.streamLines(kCall, urlOf(endless), get(), [&](std::string_view) { return ++lines < 2; }).stopped);
  CHECK(lines == 2);
  const auto throwing = [](std::string_view) -> bool { throw std::runtime_error("from inside"); };
  CHECK_THROWS_WITH_AS(client.stream(kCall, urlOf(endless), get(), throwing), "from inside", std::runtime_error);
  // The cut connections are not kept.
  CHECK(eventually([&] { return gone == 3; }));
}

TEST_CASE("a slow receiver slows the server") {
  constexpr std::size_t kPiece = 64U * 1024;
  constexpr std::size_t kPieces = 1024;
  std::atomic<std::size_t> written{0};
  const Gateway gateway([&](const Peer &peer) {
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kPiece * kPieces) + "\r\n\r\n");
    for (std::size_t i = 0; i < kPieces && !peer.stopping(); ++i) {
      peer.say(std::string(kPiece, 'x'));
      ++written;
    }
  });
  std::size_t received = 0;
  std::size_t before = 0;
  const auto take = [&](std::string_view bytes) {
    if (received == 0) {
      // While the first piece is looked at the server writes until the buffers between are full, and then stands.
      const auto stands = [&] {
        before = written;
        return !eventually([&] { return written != before; }, std::chrono::milliseconds{200});
      };
      CHECK(eventually(stands));
      CHECK(before < kPieces);
    }
    received += bytes.size();
    return true;
  };
  HttpClient().stream(kCall, urlOf(gateway), get(), take);
  CHECK(received == kPiece * kPieces);
}

TEST_CASE("a refusal's body can be cut instead of refused") {
  const std::string body(100'000, 'x');
  const Gateway gateway([&](const Peer &peer) { peer.answer("500 Oops", "text/plain", body); });
  ClientRequest request = get();
  request.maxBody = 1000;
  HttpClient client;
  const auto error = failureOf([&] { client.send(kCall, urlOf(gateway), request); });
  REQUIRE(error);
  CHECK(error->cause() == Cause::TooLarge);
  request.keptOfRefusal = 2000;
  const ClientResponse response = client.send(kCall, urlOf(gateway), request);
  CHECK(response.status == 500);
  CHECK(response.stopped);
  CHECK(response.body == body.substr(0, 2000));
}

TEST_CASE("many threads share the client and its connections") {
  const Gateway gateway(keepsAnswering("x"));
  HttpClient client({4, {}});
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round)
        good += client.send(kCall, urlOf(gateway), get()).body == "x" ? 1 : 0;
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(good == 400);
}
