/// Connections that wait for their next exchange.
#include "Exchanges.h"

#include <support/TempDir.h>
#include <support/Wait.h>

#include <atomic>

using namespace matrixos;
using namespace matrixos::http;
using namespace matrixos::http::test;
using matrixos::test::eventually;
using matrixos::test::TempDir;

namespace {

const Call kCall(nullptr);

std::string answerOf(const std::string &body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

TEST_CASE("connections are kept when asked for, else not") {
  const Gateway gateway([](const Peer &peer) {
    do
      peer.say(answerOf("x"));
    while (!peer.readRequest().empty());
  });
  HttpClient keeping({2, {}});
  for (int i = 0; i < 5; ++i) {
    CHECK(keeping.send(kCall, urlOf(gateway), get()).body == "x");
    CHECK(keeping.send(kCall, urlOf(gateway), post("{}")).body == "x");
  }
  CHECK(gateway.requests().size() == 1);
  HttpClient forgetting;
  for (int i = 0; i < 3; ++i)
    forgetting.send(kCall, urlOf(gateway), get());
  CHECK(gateway.requests().size() == 4);
}

TEST_CASE("each server has its own, and the longest idle goes first") {
  std::atomic<int> gone{0};
  const auto serve = [&](const std::string &name) {
    return [&gone, name](const Peer &peer) {
      do
        peer.say(answerOf(name));
      while (!peer.readRequest().empty());
      ++gone;
    };
  };
  const Gateway a(serve("a"));
  const Gateway b(serve("b"));
  const Gateway c(serve("c"));
  HttpClient client({2, {}});
  for (int i = 0; i < 3; ++i) {
    CHECK(client.send(kCall, urlOf(a), get()).body == "a");
    CHECK(client.send(kCall, urlOf(b), get()).body == "b");
  }
  CHECK(a.requests().size() == 1);
  CHECK(b.requests().size() == 1);
  CHECK(client.send(kCall, urlOf(c), get()).body == "c");
  CHECK(eventually([&] { return gone == 1; }));
  CHECK(client.send(kCall, urlOf(b), get()).body == "b");
  CHECK(b.requests().size() == 1);
  CHECK(client.send(kCall, urlOf(a), get()).body == "a");
  CHECK(a.requests().size() == 2);
}

// What one end of a unix socket has done, the other end sees at once; over TCP it may take a moment.
TEST_CASE("a connection that the server has closed is not used again") {
  std::atomic<int> closed{0};
  const TempDir dir;
  const std::string path = (dir / "sock").string();
  const Gateway gateway(
      [&](const Peer &peer) {
        peer.say(answerOf("x"));
        peer.finish();
        ++closed;
      },
      path);
  HttpClient client({2, {}});
  for (int i = 1; i <= 5; ++i) {
    CHECK(client.send(kCall, BaseUrl::parse("unix:" + path), post("{}")).body == "x");
    REQUIRE(eventually([&] { return closed == i; }));
  }
  CHECK(gateway.requests().size() == 5);
}

TEST_CASE("an answer that nobody asked for is not the next one's") {
  std::atomic<int> connections{0};
  const Gateway gateway([&](const Peer &peer) {
    ++connections;
    peer.say(answerOf("mine") + answerOf("smuggled"));
    peer.hang();
  });
  HttpClient client({2, {}});
  CHECK(client.send(kCall, urlOf(gateway), get()).body == "mine");
  CHECK(client.send(kCall, urlOf(gateway), get()).body == "mine");
  CHECK(connections == 2);
}

TEST_CASE("what came on an idle connection is not the next exchange's answer") {
  std::atomic<int> connections{0};
  std::atomic<bool> answered{false};
  std::atomic<bool> pushed{false};
  const TempDir dir;
  const std::string path = (dir / "sock").string();
  const Gateway gateway(
      [&](const Peer &peer) {
        const bool first = ++connections == 1;
        peer.say(answerOf("mine"));
        if (first) {
          eventually([&] { return answered || peer.stopping(); });
          peer.say(answerOf("smuggled"));
          pushed = true;
        }
        peer.hang();
      },
      path);
  HttpClient client({2, {}});
  const BaseUrl url = BaseUrl::parse("unix:" + path);
  CHECK(client.send(kCall, url, get()).body == "mine");
  answered = true;
  REQUIRE(eventually([&] { return pushed.load(); }));
  CHECK(client.send(kCall, url, get()).body == "mine");
  CHECK(connections == 2);
}

TEST_CASE("a request that may have been executed is sent again only if it is idempotent") {
  // The first exchange of a connection is answered; at the second the server takes the request and hangs up.
  std::atomic<int> taken{0};
  const Gateway gateway([&](const Peer &peer) {
    peer.say(answerOf("x"));
    if (!peer.readRequest().empty()) ++taken;
  });
  HttpClient client({2, {}});
  CHECK(client.send(kCall, urlOf(gateway), get()).body == "x");
  CHECK(client.send(kCall, urlOf(gateway), get()).body == "x");
  CHECK(taken == 1);
  CHECK(gateway.requests().size() == 2);
  const auto error = failureOf([&] { client.send(kCall, urlOf(gateway), post("{}")); });
  REQUIRE(error);
  CHECK(error->cause() == Cause::NoAnswer);
  CHECK(error->sent());
  CHECK(taken == 2);
}
