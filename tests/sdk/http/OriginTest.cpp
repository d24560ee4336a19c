/// A session that is an origin: it takes the body of a request in pieces, and answers in pieces under back-pressure.
#include <doctest/doctest.h>
#include <http/engine/Server.h>
#include <malloc.h>
#include <poll.h>
#include <support/Errors.h>
#include <support/ScriptedServer.h>
#include <support/Sockets.h>
#include <support/TempDir.h>
#include <support/Wait.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::http;
using matrixos::test::connectTo;
using matrixos::test::eventually;
using matrixos::test::sendAll;
using namespace std::chrono_literals;

namespace {

/// What the handlers of a test do and have seen; the loop and the test share it.
struct Origin final : SessionFactory {
  std::function<void(ClientExchange &)> onRequest = [](ClientExchange &exchange) { exchange.readBody(); };
  std::function<void(ClientExchange &, std::string_view, bool)> onBody = [](ClientExchange &, std::string_view, bool) {
  };
  std::function<void(ClientExchange &)> onWritable = [](ClientExchange &) {};
  std::function<void(ClientExchange &)> onForwardFailed = [](ClientExchange &exchange) {
    exchange.respond({502, {}, {}, {}});
  };
  std::function<bool(const ResponseHead &)> acceptResponse = [](const ResponseHead &) { return true; };
  std::function<void(ClientExchange &)> onHoldTimeout = [](ClientExchange &exchange) { exchange.readBody(); };

  std::mutex mutex;
  std::string body;
  std::vector<Summary> finished;
  std::atomic<int> pieces{0};
  std::atomic<int> ends{0};
  std::atomic<int> gone{0};
  std::atomic<int> refused{0};
  std::atomic<std::uint64_t> ticket{0};
  std::atomic<Loop *> loop{nullptr};
  std::atomic<ForwardFailure> failure{};

  struct ThisSession final : Session {
    explicit ThisSession(Origin &of) : origin(of) {}
    void onRequest(ClientExchange &exchange) override {
      origin.loop = &exchange.loop();
      origin.onRequest(exchange);
    }
    void onBody(ClientExchange &exchange, std::string_view piece, bool last) override {
      {
        const std::lock_guard lock(origin.mutex);
        origin.body += piece;
      }
      ++origin.pieces;
      if (last) ++origin.ends;
      origin.onBody(exchange, piece, last);
    }
    void onWritable(ClientExchange &exchange) override { origin.onWritable(exchange); }
    void onForwardFailed(ClientExchange &exchange, ForwardFailure failure) override {
      origin.failure = failure;
      origin.onForwardFailed(exchange);
    }
    bool acceptResponse(ClientExchange &, const ResponseHead &head) override { return origin.acceptResponse(head); }
    void onHoldTimeout(ClientExchange &exchange) override { origin.onHoldTimeout(exchange); }
    void onGone(ClientExchange &) override { ++origin.gone; }
    void onRefused(int, const char *) override { ++origin.refused; }
    void onFinished(ClientExchange &, const Summary &summary) override {
      const std::lock_guard lock(origin.mutex);
      origin.finished.push_back(summary);
    }
    Origin &origin;
  };
  std::unique_ptr<Session> makeSession(Loop &, const Address &) override {
    return std::make_unique<ThisSession>(*this);
  }
  std::string taken() {
    const std::lock_guard lock(mutex);
    return body;
  }
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return finished.size();
  }
  Summary last() {
    REQUIRE(eventually([this] { return count() != 0; }));
    const std::lock_guard lock(mutex);
    return finished.back();
  }
};

/// Answers with what it was sent, once it has all of it.
void echo(Origin &origin) {
  origin.onBody = [&origin](ClientExchange &exchange, std::string_view, bool last) {
    if (!last) return;
    std::string body;
    {
      const std::lock_guard lock(origin.mutex);
      body.swap(origin.body);
    }
    exchange.respond({200, "text/plain", std::move(body), {}});
  };
}

ServerOptions oneLoop() {
  ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.loops = 1;
  return options;
}

struct Running {
  explicit Running(Origin &origin, const ServerOptions &options = oneLoop()) : server(options, origin) {
    server.start();
  }
  matrixos::FileDescriptor connect() { return connectTo(server.addresses().front().port()); }
  Server server;
};

/// Reads until `enough` says so, or the connection ends. Empty on a reset.
std::string readUntil(int fd, const std::function<bool(const std::string &)> &enough, bool *reset = nullptr) {
  std::string text;
  std::array<char, 65536> block{};
  while (!enough(text)) {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, 30'000) <= 0) break;
    const ssize_t got = ::recv(fd, block.data(), block.size(), 0);
    if (got < 0 && reset != nullptr) *reset = true;
    if (got <= 0) break;
    text.append(block.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::string readAnswer(int fd) {
  return readUntil(fd, [](const std::string &text) {
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::size_t at = text.find("Content-Length: ");
    return at == std::string::npos || at > end ||
           text.size() >= end + 4 + static_cast<std::size_t>(std::atol(text.c_str() + at + 16));
  });
}

std::string readAll(int fd, bool *reset = nullptr) {
  return readUntil(
      fd, [](const std::string &) { return false; }, reset);
}

const std::string kPost = "POST /x HTTP/1.1\r\nHost: a\r\n";

} // namespace

TEST_CASE("a body arrives in pieces, whatever its framing and however it is cut, and the connection goes on") {
  Origin origin;
  echo(origin);
  Running running(origin);
  const auto client = running.connect();
  const std::string large(300'000, 'x');
  struct Sent {
    std::string wire;
    std::string body;
  };
  const std::vector<Sent> all = {
      {"Content-Length: 5\r\n\r\nhello", "hello"},
      {"Content-Length: 0\r\n\r\n", ""},
      {"\r\n", ""},
      {"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: y\r\n\r\n", "abc0123456789"},
      {"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
      {"Content-Length: 300000\r\n\r\n" + large, large},
      {"Transfer-Encoding: chunked\r\n\r\n493e0\r\n" + large + "\r\n0\r\n\r\n", large}};
  for (const Sent &sent : all) {
    CAPTURE(sent.wire.substr(0, 60));
    REQUIRE(sendAll(client.get(), kPost + sent.wire));
    const std::string answer = readAnswer(client.get());
    CHECK(answer.substr(0, 15) == "HTTP/1.1 200 OK");
    CHECK(answer.substr(answer.find("\r\n\r\n") + 4) == sent.body);
  }
  // Byte by byte, and several requests at once.
  for (const Sent &sent : {all[0], all[3]}) {
    for (const char byte : kPost + sent.wire)
      REQUIRE(sendAll(client.get(), std::string_view(&byte, 1)));
    const std::string answer = readAnswer(client.get());
    CHECK(answer.substr(answer.find("\r\n\r\n") + 4) == sent.body);
  }
  REQUIRE(sendAll(client.get(), kPost + all[0].wire + kPost + all[3].wire + kPost + all[1].wire));
  const std::string three = readUntil(client.get(), [](const std::string &text) {
    return text.find("abc0123456789") != std::string::npos && text.size() > 200 &&
           text.find("Content-Length: 0\r\n\r\n") != std::string::npos;
  });
  CHECK(three.find("hello") < three.find("abc0123456789"));
  CHECK(eventually([&] { return origin.count() == all.size() + 5; }));
  CHECK(origin.ends == static_cast<int>(all.size() + 5));
}

TEST_CASE("a session that holds is brought no more, and the client waits until it goes on") {
  Origin origin;
  origin.onBody = [&](ClientExchange &exchange, std::string_view, bool last) {
    if (last) return exchange.respond({204, {}, {}, {}});
    origin.ticket = exchange.hold(60s);
  };
  Running running(origin);
  const auto client = running.connect();
  const std::size_t size = 64 * 1024 * 1024;
  REQUIRE(sendAll(client.get(), kPost + "Content-Length: " + std::to_string(size) + "\r\n\r\n"));
  std::atomic<std::size_t> sent{0};
  std::thread sender([&] {
    const std::string block(64 * 1024, 'y');
    while (sent < size && sendAll(client.get(), block))
      sent += block.size();
  });
  REQUIRE(eventually([&] { return origin.pieces == 1; }));
  // What the kernel takes is all that leaves the client: the session has one piece.
  std::size_t before = 0;
  CHECK(eventually([&] {
    std::this_thread::sleep_for(50ms);
    return before == std::exchange(before, sent.load()) && before != 0;
  }));
  CHECK(origin.pieces == 1);
  CHECK(sent < size);
  // Each hold gives a new ticket, and only the latest one is good.
  for (std::uint64_t resumed = 0; origin.ends == 0;) {
    REQUIRE(eventually([&] { return origin.ticket != resumed || origin.ends != 0; }));
    resumed = origin.ticket;
    origin.loop.load()->resume(resumed, [](ClientExchange &exchange) { exchange.readBody(); });
  }
  sender.join();
  CHECK(origin.taken().size() == size);
  CHECK(readAnswer(client.get()).substr(0, 12) == "HTTP/1.1 204");
}

TEST_CASE("bodies that are too large, malformed, cut or too slow are refused, and the connection ends") {
  Origin origin;
  origin.onRequest = [](ClientExchange &exchange) { exchange.readBody(10); };
  ServerOptions options = oneLoop();
  options.timeouts.requestBody = 200ms;
  options.minBodyRate = 1000;
  Running running(origin, options);
  const auto refusal = [&](const std::string &rest, bool finish = false) {
    const auto client = running.connect();
    sendAll(client.get(), kPost + rest);
    if (finish) ::shutdown(client.get(), SHUT_WR);
    const std::string answer = readAll(client.get());
    CHECK(answer.find("Connection: close") != std::string::npos);
    CHECK(answer.find("HTTP/1.1", 9) == std::string::npos);
    return answer.substr(0, 12);
  };
  CHECK(refusal("Content-Length: 11\r\n\r\n") == "HTTP/1.1 413");
  CHECK(refusal("Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n") == "HTTP/1.1 413");
  CHECK(refusal("Transfer-Encoding: chunked\r\n\r\nx\r\n") == "HTTP/1.1 400");
  CHECK(refusal("Content-Length: 9\r\n\r\nhalf", true) == "HTTP/1.1 400");
  CHECK(refusal("Transfer-Encoding: chunked\r\n\r\n5\r\nhal", true) == "HTTP/1.1 400");
  CHECK(refusal("Content-Length: 9\r\n\r\nhalf") == "HTTP/1.1 408");
  CHECK(origin.ends == 0);
  // One byte now and then moves the first deadline, and not the second.
  const auto drip = running.connect();
  REQUIRE(sendAll(drip.get(), kPost + "Content-Length: 9\r\n\r\n"));
  std::atomic<bool> answered{false};
  std::thread dripping([&] {
    for (int i = 0; i < 8 && !answered; ++i) {
      sendAll(drip.get(), "z");
      std::this_thread::sleep_for(100ms);
    }
  });
  CHECK(readAnswer(drip.get()).substr(0, 12) == "HTTP/1.1 408");
  answered = true;
  dripping.join();
}

TEST_CASE("100-continue is sent when the body is asked for, and only when the client may be waiting for it") {
  Origin origin;
  echo(origin);
  std::atomic<bool> refuse{false};
  origin.onRequest = [&](ClientExchange &exchange) {
    refuse ? exchange.respond({403, "text/plain", "no", {}}) : exchange.readBody();
  };
  Running running(origin);
  const auto client = running.connect();
  const std::string expecting = kPost + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  REQUIRE(sendAll(client.get(), expecting));
  CHECK(readAnswer(client.get()) == "HTTP/1.1 100 Continue\r\n\r\n");
  REQUIRE(sendAll(client.get(), "hello"));
  CHECK(readAnswer(client.get()).substr(0, 12) == "HTTP/1.1 200");
  REQUIRE(sendAll(client.get(), expecting + "hello"));
  CHECK(readAnswer(client.get()).substr(0, 12) == "HTTP/1.1 200");
  // Refused without having been asked for: nobody says "continue".
  refuse = true;
  REQUIRE(sendAll(client.get(), expecting));
  const std::string refused = readAll(client.get());
  CHECK(refused.substr(0, 12) == "HTTP/1.1 403");
  CHECK(refused.find("Connection: close") != std::string::npos);
}

TEST_CASE("an answer in pieces is chunked, has its length, or ends with the connection") {
  Origin origin;
  std::atomic<bool> announced{false};
  origin.onRequest = [&](ClientExchange &exchange) {
    exchange.begin({200, "text/plain", {{"X-A", "b"}}, announced ? std::optional<std::uint64_t>(12) : std::nullopt});
    CHECK(exchange.write("first "));
    CHECK(exchange.write(""));
    CHECK(exchange.write("second"));
    CHECK(exchange.unsent() == 0);
    exchange.end();
    CHECK_FALSE(exchange.write("late"));
  };
  Running running(origin);
  const auto client = running.connect();
  REQUIRE(sendAll(client.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  const std::string chunked =
      readUntil(client.get(), [](const std::string &text) { return text.find("\r\n0\r\n\r\n") != std::string::npos; });
  CHECK(chunked == "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "6\r\nfirst \r\n6\r\nsecond\r\n0\r\n\r\n");
  announced = true;
  REQUIRE(sendAll(client.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  CHECK(readAnswer(client.get()).find("Content-Length: 12\r\n\r\nfirst second") != std::string::npos);
  REQUIRE(sendAll(client.get(),
                  "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  const std::string both = readAll(client.get());
  CHECK(both.find("first second") == both.rfind("first second"));
  announced = false;
  const auto old = running.connect();
  REQUIRE(sendAll(old.get(), "GET / HTTP/1.0\r\nHost: a\r\n\r\n"));
  const std::string raw = readAll(old.get());
  CHECK(raw.find("chunked") == std::string::npos);
  CHECK(raw.substr(raw.size() - 16) == "\r\n\r\nfirst second");
}

TEST_CASE("an answer that is longer or shorter than announced is never taken for whole") {
  for (const bool longer : {true, false}) {
    CAPTURE(longer);
    Origin origin;
    origin.onRequest = [&](ClientExchange &exchange) {
      exchange.begin({200, "text/plain", {}, 5});
      exchange.write(longer ? "123456" : "1234");
      exchange.end();
    };
    Running running(origin);
    const auto client = running.connect();
    REQUIRE(sendAll(client.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    const std::string answer = readAll(client.get());
    CHECK(answer.find("12345") == std::string::npos);
    CHECK(origin.last().aborted);
  }
}

TEST_CASE("a slow reader holds the session back; nothing is lost, and what waits is bounded") {
  Origin origin;
  constexpr std::size_t kPiece = 64 * 1024;
  constexpr std::size_t kAll = 512 * kPiece;
  std::atomic<std::size_t> written{0};
  std::atomic<std::size_t> mostWaiting{0};
  std::atomic<int> pauses{0};
  const auto more = [&](ClientExchange &exchange) {
    while (written < kAll) {
      const bool on = exchange.write(std::string(kPiece, static_cast<char>('a' + written / kPiece % 26)));
      written += kPiece;
      mostWaiting = std::max(mostWaiting.load(), exchange.unsent());
      if (!on && written < kAll) {
        ++pauses;
        return;
      }
    }
    exchange.end();
  };
  origin.onRequest = [&](ClientExchange &exchange) {
    exchange.begin({200, "text/plain", {}, kAll});
    more(exchange);
  };
  origin.onWritable = more;
  Running running(origin);
  const auto client = running.connect();
  REQUIRE(sendAll(client.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  REQUIRE(eventually([&] { return pauses == 1; }));
  CHECK(written < kAll);
  const std::string answer = readAnswer(client.get());
  const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
  REQUIRE(body.size() == kAll);
  bool right = true;
  for (std::size_t i = 0; i < kAll; i += 4096)
    right = right && body[i] == static_cast<char>('a' + i / kPiece % 26);
  CHECK(right);
  CHECK(mostWaiting <= kPiece + 64);
  CHECK(origin.last().bytesOut == kAll);
  CHECK_FALSE(origin.last().aborted);
}

TEST_CASE("a client that takes nothing is given up, one that leaves is noticed, and neither gets a good end") {
  Origin origin;
  const auto flood = [](ClientExchange &exchange) {
    while (exchange.write(std::string(65536, 'x'))) {
    }
  };
  std::atomic<bool> writes{true};
  origin.onRequest = [&](ClientExchange &exchange) {
    exchange.begin({200, "text/plain", {}});
    if (writes) flood(exchange);
  };
  origin.onWritable = flood;
  ServerOptions options = oneLoop();
  options.timeouts.ownAnswer = 300ms;
  Running running(origin, options);
  const auto stuck = running.connect();
  REQUIRE(sendAll(stuck.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  CHECK(eventually([&] { return origin.gone == 1; }));
  CHECK(origin.last().aborted);
  bool reset = false;
  readAll(stuck.get(), &reset);
  CHECK(reset);
  // Nobody writes, and all the same the session hears of it.
  writes = false;
  auto leaver = running.connect();
  REQUIRE(sendAll(leaver.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  CHECK(readAnswer(leaver.get()).find("chunked") != std::string::npos);
  leaver.reset();
  CHECK(eventually([&] { return origin.gone == 2; }));
  CHECK(eventually([&] { return running.server.connections() == 0; }));
}

TEST_CASE("an answer in pieces goes on under its ticket, while the next request waits behind it") {
  Origin origin;
  origin.onRequest = [&](ClientExchange &exchange) { origin.ticket = exchange.hold(60s); };
  Running running(origin);
  const auto client = running.connect();
  REQUIRE(sendAll(client.get(), "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
  REQUIRE(eventually([&] { return origin.ticket != 0; }));
  const std::uint64_t first = origin.ticket;
  Loop &loop = *origin.loop.load();
  loop.resume(first, [](ClientExchange &exchange) { exchange.begin({200, "text/plain", {}, 4}); });
  loop.resume(first, [](ClientExchange &exchange) { exchange.write("one "); });
  loop.resume(first, [](ClientExchange &exchange) { exchange.end(); });
  CHECK(readAnswer(client.get()).find("one ") != std::string::npos);
  REQUIRE(eventually([&] { return origin.ticket != first; }));
  loop.resume(first, [](ClientExchange &exchange) { exchange.respond({200, "text/plain", "of the past", {}}); });
  loop.resume(origin.ticket, [](ClientExchange &exchange) { exchange.respond({200, "text/plain", "two", {}}); });
  const std::string second = readAnswer(client.get());
  CHECK(second.substr(second.size() - 3) == "two");
}

TEST_CASE("a body that was taken is sent on, and once more elsewhere when the first upstream does not answer") {
  std::mutex mutex;
  std::vector<std::string> received;
  const auto script = [&](bool answers) {
    return [&, answers](const matrixos::test::Peer &peer) {
      const std::string request = readUntil(peer.fd(), [](const std::string &text) {
        return text.size() > 4 && text.compare(text.size() - 4, 4, "last") == 0;
      });
      {
        const std::lock_guard lock(mutex);
        received.push_back(request);
      }
      if (answers) peer.answer("200 OK", "text/plain", "done");
    };
  };
  matrixos::test::ScriptedServer first(script(false));
  matrixos::test::ScriptedServer second(script(true));
  first.listen();
  second.listen();
  const auto to = [](std::uint16_t port) {
    return std::make_shared<Upstream>(Upstream{{{Address::parse("127.0.0.1:" + std::to_string(port))}}, true});
  };
  Origin origin;
  const std::string large = std::string(3'000'000, 'b') + "last";
  origin.onBody = [&](ClientExchange &exchange, std::string_view, bool last) {
    if (last) exchange.forwardTaken(to(first.port()), large);
  };
  origin.onForwardFailed = [&](ClientExchange &exchange) { exchange.forwardTaken(to(second.port()), large); };
  Running running(origin);
  const auto client = running.connect();
  REQUIRE(
      sendAll(client.get(), kPost + "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
  const std::string answer = readAnswer(client.get());
  CHECK(answer.substr(answer.size() - 4) == "done");
  const std::lock_guard lock(mutex);
  REQUIRE(received.size() == 2);
  for (const std::string &request : received) {
    CHECK(request.find("Content-Length: 3000004\r\n") != std::string::npos);
    CHECK(request.find("Transfer-Encoding") == std::string::npos);
    CHECK(request.find("Expect") == std::string::npos);
    CHECK(request.substr(request.find("\r\n\r\n") + 4) == large);
  }
}

TEST_CASE("an answer that is declined by its head never reaches the client; the request goes elsewhere") {
  const auto serving = [](const char *status, const char *body) {
    return [status, body](const matrixos::test::Peer &peer) {
      const std::string request = readUntil(peer.fd(), [](const std::string &text) {
        return text.size() > 4 && text.compare(text.size() - 4, 4, "last") == 0;
      });
      if (!request.empty()) peer.answer(status, "text/plain", body);
      peer.hang();
    };
  };
  matrixos::test::ScriptedServer busy(serving("529 Overloaded", "too much"));
  matrixos::test::ScriptedServer well(serving("200 OK", "done"));
  busy.listen();
  well.listen();
  const auto to = [](std::uint16_t port) {
    return std::make_shared<Upstream>(Upstream{{{Address::parse("127.0.0.1:" + std::to_string(port))}}, true});
  };
  Origin origin;
  std::atomic<int> asked{0};
  origin.acceptResponse = [&](const ResponseHead &head) {
    ++asked;
    return head.status < 500;
  };
  const std::string body = "last";
  origin.onBody = [&](ClientExchange &exchange, std::string_view, bool last) {
    if (last) exchange.forwardTaken(to(busy.port()), body);
  };
  origin.onForwardFailed = [&](ClientExchange &exchange) {
    if (asked == 3) return exchange.respond({503, "text/plain", "ours", {}});
    exchange.forwardTaken(to(well.port()), body);
  };
  Running running(origin);
  const auto client = running.connect();
  REQUIRE(sendAll(client.get(), kPost + "Content-Length: 4\r\n\r\nlast"));
  const std::string answer = readAnswer(client.get());
  CHECK(answer.substr(0, 15) == "HTTP/1.1 200 OK");
  CHECK(answer.substr(answer.size() - 4) == "done");
  CHECK(origin.failure == ForwardFailure::Declined);
  CHECK(asked == 2);
  REQUIRE(sendAll(client.get(), kPost + "Content-Length: 4\r\n\r\nlast"));
  const std::string ours = readAnswer(client.get());
  CHECK(ours.substr(0, 12) == "HTTP/1.1 503");
  CHECK(ours.substr(ours.size() - 4) == "ours");
}

TEST_CASE("a kept connection serves requests that may be repeated, and one that it fails is sent once more") {
  std::atomic<int> requests{0};
  matrixos::test::ScriptedServer upstream([&](const matrixos::test::Peer &peer) {
    for (int served = 0;; ++served) {
      const std::string request = peer.readRequest();
      if (request.empty() || (peer.number() == 1 && served == 2)) return; // without a word
      ++requests;
      if (!peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(peer.number()))) return;
    }
  });
  upstream.listen();
  Upstream to{{{Address::parse("127.0.0.1:" + std::to_string(upstream.port())), 4711}}, true};
  to.repeatable = true;
  const auto shared = std::make_shared<const Upstream>(to);
  Origin origin;
  const std::string body = "once";
  origin.onBody = [&](ClientExchange &exchange, std::string_view, bool last) {
    if (last) exchange.forwardTaken(shared, body);
  };
  Running running(origin);
  const auto client = running.connect();
  std::string by;
  for (int i = 0; i < 4; ++i) {
    REQUIRE(sendAll(client.get(), kPost + "Content-Length: 4\r\n\r\nonce"));
    by += readAnswer(client.get()).back();
  }
  CHECK(by == "1122");
  CHECK(requests == 4);
  CHECK(upstream.connections() == 2);
}

TEST_CASE("who may not listen on a low port is told what that takes") {
  int first = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first;
  if (first <= 443) return; // here everybody may
  struct Nobody {
    const bool root = ::geteuid() == 0 && ::seteuid(65534) == 0;
    ~Nobody() {
      if (root && ::seteuid(0) != 0) std::abort();
    }
  } nobody;
  Origin origin;
  ServerOptions options = oneLoop();
  options.listen.front().address = "127.0.0.1:443";
  const matrixos::Error error = matrixos::test::errorOf([&] { Running running(origin, options); });
  CHECK(error.status() == matrixos::Status::PermissionDenied);
  CHECK(std::string(error.what()).find("ports below 1024 take CAP_NET_BIND_SERVICE") != std::string::npos);
}

TEST_CASE("listeners have tags and modes of their own, and unix peers a process") {
  matrixos::test::TempDir dir;
  const std::string path = (dir / "x.sock").string();
  Origin origin;
  origin.onRequest = [](ClientExchange &exchange) {
    const auto peer = exchange.peerProcess();
    exchange.respond({200,
                      "text/plain",
                      std::to_string(exchange.listenerTag()) + "," +
                          (peer ? std::to_string(peer->uid) + " " + std::to_string(peer->pid) : "nobody"),
                      {}});
  };
  ServerOptions options = oneLoop();
  options.listen.front().tag = 3;
  options.listen.emplace_back("unix:" + path);
  options.listen.back().tag = 4;
  options.listen.back().unixMode = 0600;
  Running running(origin, options);
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777U) == 0600);
  const auto body = [](int fd) {
    REQUIRE(sendAll(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    const std::string answer = readAnswer(fd);
    return answer.substr(answer.find("\r\n\r\n") + 4);
  };
  CHECK(body(running.connect().get()) == "3,nobody");
  CHECK(body(connectTo(std::filesystem::path(path)).get()) ==
        "4," + std::to_string(::getuid()) + " " + std::to_string(::getpid()));
}

TEST_CASE("when connections run out, the one that has been idle for longest makes room, and a busy one does not") {
  Origin origin;
  origin.onRequest = [&](ClientExchange &exchange) {
    if (exchange.request().path() == "/hold") return void(origin.ticket = exchange.hold(60s));
    exchange.respond({200, "text/plain", "ok", {}});
  };
  ServerOptions options = oneLoop();
  options.maxConnections = 3;
  options.shedIdle = true;
  Running running(origin, options);
  const auto get = [](int fd, const std::string &path = "/") {
    REQUIRE(sendAll(fd, "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"));
  };
  const auto busy = running.connect();
  get(busy.get(), "/hold");
  REQUIRE(eventually([&] { return origin.ticket != 0; }));
  const auto older = running.connect();
  get(older.get());
  CHECK(readAnswer(older.get()).substr(0, 12) == "HTTP/1.1 200");
  const auto younger = running.connect();
  get(younger.get());
  CHECK(readAnswer(younger.get()).substr(0, 12) == "HTTP/1.1 200");
  const auto newest = running.connect();
  get(newest.get());
  CHECK(readAnswer(newest.get()).substr(0, 12) == "HTTP/1.1 200");
  CHECK(readAll(older.get()).empty());
  get(younger.get());
  CHECK(readAnswer(younger.get()).substr(0, 12) == "HTTP/1.1 200");
  origin.loop.load()->resume(origin.ticket, [](ClientExchange &exchange) { exchange.respond({200, {}, {}, {}}); });
  CHECK(readAnswer(busy.get()).substr(0, 12) == "HTTP/1.1 200");
}

TEST_CASE("a connection that waits for its next request keeps nothing of a large one") {
  const std::string large = std::string(16 << 20, 'b') + '!';
  matrixos::test::ScriptedServer upstream([&](const matrixos::test::Peer &peer) {
    readUntil(peer.fd(), [&](const std::string &text) { return text.size() > large.size() && text.back() == '!'; });
    peer.answer("200 OK", "text/plain", "done");
  });
  upstream.listen();
  const auto to =
      std::make_shared<Upstream>(Upstream{{{Address::parse("127.0.0.1:" + std::to_string(upstream.port()))}}, true});
  Origin origin;
  origin.onBody = [&](ClientExchange &exchange, std::string_view, bool last) {
    if (last) exchange.forwardTaken(to, large);
  };
  Running running(origin);
  const auto client = running.connect();
  const auto inUse = [] {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const std::size_t before = inUse();
  REQUIRE(sendAll(client.get(), kPost + "Content-Length: 3\r\n\r\nabc"));
  CHECK(readAnswer(client.get()).substr(0, 12) == "HTTP/1.1 200");
  CHECK(eventually([&] { return origin.count() == 1 && inUse() < before + large.size() / 2; }));
}
