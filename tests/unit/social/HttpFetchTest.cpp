#include "Gateway.h"

#include <doctest/doctest.h>
#include <social/HttpFetch.h>

#include <cstdlib>

using namespace matrixos::social;
using namespace matrixos::social::test;
using namespace std::chrono_literals;

TEST_CASE("an exchange carries what was asked and nothing of the environment") {
  ::setenv("http_proxy", "http://127.0.0.1:9", 1);
  ::setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
  const Gateway gateway([](const Peer &peer) { peer.answer("200 OK", "application/json", "{}"); });
  const FetchReply reply = fetch({gateway.url() + "/x", R"({"a":1})"});
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  CHECK(reply.status == 200);
  CHECK(reply.contentType == "application/json");
  CHECK(reply.body == "{}");
  const std::string request = gateway.requests().at(0);
  CHECK(request.find("POST /x HTTP/1.1\r\n") == 0);
  CHECK(request.find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(request.find("\r\n\r\n{\"a\":1}") != std::string::npos);
  CHECK(request.find("Expect") == std::string::npos);
  CHECK(request.find("Accept-Encoding") == std::string::npos);
}

TEST_CASE("a refused connection may be tried elsewhere, a broken exchange may not") {
  const ClosedPort closed;
  try {
    fetch({"http://127.0.0.1:" + std::to_string(closed.port()) + "/", {}});
    FAIL("it connected");
  } catch (const FetchError &error) {
    CHECK_FALSE(error.connected());
  }
  const Gateway gateway([](const Peer &peer) { peer.reset(); });
  try {
    fetch({gateway.url(), {}});
    FAIL("it answered");
  } catch (const FetchError &error) {
    CHECK(error.connected());
  }
}

TEST_CASE("only http is spoken, and no user travels") {
  for (const char *url : {"file:///etc/passwd", "https://127.0.0.1:1/", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
                          "http://root:secret@127.0.0.1:1/"})
    CHECK_THROWS_AS(fetch({url, {}}), FetchError);
}

TEST_CASE("an endless head or body is cut") {
  SUBCASE("head") {
    const Gateway gateway([](const Peer &peer) {
      peer.say("HTTP/1.1 200 OK\r\n");
      for (int i = 0; i < 5000 && !peer.stopping(); ++i)
        peer.say("X-" + std::to_string(i) + ": " + std::string(100, 'x') + "\r\n");
    });
    CHECK_THROWS_WITH_AS(fetch({gateway.url(), {}}), "its header is too long", FetchError);
  }
  SUBCASE("body") {
    const Gateway gateway([](const Peer &peer) {
      peer.say("HTTP/1.1 200 OK\r\n\r\n");
      for (int i = 0; i < 1000 && !peer.stopping(); ++i)
        peer.say(std::string(4096, 'x'));
    });
    CHECK_THROWS_WITH_AS(fetch({gateway.url(), {}}), "its answer is too long", FetchError);
  }
  SUBCASE("interim answers without end") {
    const Gateway gateway([](const Peer &peer) {
      for (int i = 0; i < 100'000 && !peer.stopping(); ++i)
        peer.say("HTTP/1.1 100 Continue\r\n\r\n");
    });
    CHECK_THROWS_AS(fetch({gateway.url(), {}, 2s, 5s}), FetchError);
  }
}

TEST_CASE("base URLs are checked") {
  for (const char *good : {"http://proxy:8080", "http://10.0.0.1", "http://[::1]:8080/base"})
    CHECK(checkBaseUrl(good) == "");
  for (const char *bad : {"https://proxy", "proxy:8080", "", "http://", "http://u:p@proxy", "http://proxy?x=1",
                          "http://proxy#x", "http://pro xy", "file:///etc"})
    CHECK(checkBaseUrl(bad) != "");
}
