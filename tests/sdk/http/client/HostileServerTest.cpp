/// Half an answer is no answer, and neither is one that two readers could understand in two ways.
#include "Exchanges.h"

#include <support/Wait.h>

#include <atomic>

using namespace matrixos;
using namespace matrixos::http;
using namespace matrixos::http::test;
using matrixos::test::eventually;

namespace {

const Call kCall(nullptr);
const std::string kOk = "HTTP/1.1 200 OK\r\n";
const std::string kChunked = kOk + "Transfer-Encoding: chunked\r\n\r\n";

/// What becomes of this answer, collected and streamed alike; nothing when it is good.
std::optional<Cause> causeOf(const std::string &answer) {
  const Gateway gateway(says(answer));
  HttpClient client;
  const auto collected = failureOf([&] { client.send(kCall, urlOf(gateway), get()); });
  const auto streamed =
      failureOf([&] { client.stream(kCall, urlOf(gateway), get(), [](std::string_view) { return true; }); });
  REQUIRE(collected.has_value() == streamed.has_value());
  if (!collected) return std::nullopt;
  CHECK(collected->cause() == streamed->cause());
  CHECK(collected->sent());
  return collected->cause();
}

} // namespace

TEST_CASE("an answer that ends before its end is none") {
  CHECK_FALSE(causeOf(kOk + "Content-Length: 5\r\n\r\nhello"));
  CHECK_FALSE(causeOf(kChunked + "5\r\nhello\r\n0\r\n\r\n"));
  CHECK_FALSE(causeOf("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
  CHECK_FALSE(causeOf("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"));
  for (const std::string &answer :
       {kOk + "Content-Length: 5\r\n\r\nhel", kOk + "Content-Length: 5\r\n\r\n", kChunked, kChunked + "5\r\nhel",
        kChunked + "5\r\nhello", kChunked + "5\r\nhello\r\n", kChunked + "5\r\nhello\r\n0", kOk,
        kChunked + "5\r\nhello\r\n0\r\n", kChunked + "5\r\nhello\r\n0\r\nX-Trailer: 1\r\n", kOk + "Content-",
        kOk + "Content-Length: 5\r\n", std::string("HTTP/1.1 100 Continue\r\n\r\n")}) {
    CAPTURE(answer);
    CHECK(causeOf(answer) == Cause::Incomplete);
  }
}

TEST_CASE("an answer that does not say where it ends is none") {
  CHECK(causeOf(kOk + "\r\nhello") == Cause::Incomplete);
  CHECK(causeOf("HTTP/1.0 200 OK\r\n\r\n{}") == Cause::Incomplete);
}

TEST_CASE("chunks that lie") {
  for (const char *body : {"zz\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", "5\r\nhello!\r\n0\r\n\r\n",
                           "\r\nhello\r\n0\r\n\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"}) {
    CAPTURE(body);
    CHECK(causeOf(kChunked + body) == Cause::Incomplete);
  }
}

TEST_CASE("an answer with two meanings is none") {
  for (const char *head :
       {"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "Content-Length: +2\r\n\r\n{}",
        "Content-Length: 2, 2\r\n\r\n{}", "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "Content-Length : 2\r\n\r\n{}", "Content-Length: 2\r\n X: folded\r\n\r\n{}", "X\r\nContent-Length: 2\r\n\r\n{}",
        "X: a\x01b\r\nContent-Length: 2\r\n\r\n{}", "X: y\nContent-Length: 2\r\n\r\n{}"}) {
    CAPTURE(head);
    CHECK(causeOf(kOk + head) == Cause::Malformed);
  }
  CHECK(causeOf("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n") == Cause::Malformed);
}

TEST_CASE("status lines that are none") {
  for (const char *line :
       {"HTTP/1.1 2000 OK", "HTTP/1.1  200 OK", "HTTP/1.1 600 What", "HTTP/1.1 99 Low", "HTTP/1.1 -200 OK",
        "HTTP/1.1 2x0 OK", "HTTP/2 200 OK", "HTTP/1.2 200 OK", "HTTP/1.1\t200 OK", "http/1.1 200 OK", "ICY 200 OK",
        "220 mail.example ESMTP", "SSH-2.0-OpenSSH_9.2", "HTTP/1.1 200OK", "HTTP/1.1", "\r\nHTTP/1.1 200 OK"}) {
    CAPTURE(line);
    const auto cause = causeOf(line + std::string("\r\nContent-Length: 2\r\n\r\n{}"));
    CHECK(cause == Cause::Malformed);
  }
  CHECK(causeOf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n") ==
        Cause::Malformed);
}

TEST_CASE("silence, and a reset, are no answers") {
  CHECK(causeOf("") == Cause::NoAnswer);
  const Gateway gateway([](const Peer &peer) { peer.reset(); });
  const auto error = failureOf([&] { HttpClient().send(kCall, urlOf(gateway), get()); });
  REQUIRE(error);
  CHECK(error->cause() == Cause::NoAnswer);
  CHECK(error->sent());
  CHECK(error->status() == Status::DataLoss);
  const Gateway halfway([](const Peer &peer) {
    peer.say(kOk + "Content-Length: 5\r\n\r\nhel");
    peer.reset();
  });
  const auto broken = failureOf([&] { HttpClient().send(kCall, urlOf(halfway), get()); });
  REQUIRE(broken);
  CHECK(broken->status() == Status::DataLoss);
}

TEST_CASE("an endless head or body is cut") {
  std::string start;
  std::string piece;
  SUBCASE("fields") {
    start = kOk;
    piece = "X-Filler: " + std::string(100, 'x') + "\r\n";
  }
  SUBCASE("one field") {
    start = kOk + "X: ";
    piece = std::string(4096, 'x');
  }
  SUBCASE("the status line") {
    start = "HTTP/1.1 200 ";
    piece = std::string(4096, 'x');
  }
  SUBCASE("interim answers") {
    piece = "HTTP/1.1 100 Continue\r\n\r\n";
  }
  SUBCASE("trailers") {
    start = kChunked + "0\r\n";
    piece = "X-Filler: " + std::string(100, 'x') + "\r\n";
  }
  SUBCASE("body in chunks") {
    start = kChunked;
    piece = "400\r\n" + std::string(0x400, 'x') + "\r\n";
  }
  const Gateway gateway([&](const Peer &peer) {
    peer.say(start);
    for (int i = 0; i < 100'000 && !peer.stopping(); ++i)
      peer.say(piece);
  });
  ClientRequest request = get();
  request.maxBody = 64U * 1024;
  const auto error = failureOf([&] { HttpClient().send(kCall, urlOf(gateway), request); });
  REQUIRE(error);
  CHECK(error->cause() == Cause::TooLarge);
  CHECK(error->status() == Status::ResourceExhausted);
}

TEST_CASE("a body that is announced too long is not read, one of just the length is") {
  std::atomic<bool> gone{false};
  const Gateway gateway([&](const Peer &peer) {
    peer.say(kOk + "Content-Length: 1001\r\n\r\n");
    peer.hang(); // nothing more comes
    gone = true;
  });
  ClientRequest request = get();
  request.maxBody = 1000;
  const auto error = failureOf([&] { HttpClient().send(kCall, urlOf(gateway), request); });
  REQUIRE(error);
  CHECK(error->cause() == Cause::TooLarge);
  CHECK(eventually([&] { return gone.load(); }));
  const Gateway fitting([](const Peer &peer) { peer.answer("200 OK", "text/plain", std::string(1000, 'x')); });
  CHECK(HttpClient().send(kCall, urlOf(fitting), request).body.size() == 1000);
}

TEST_CASE("too many fields") {
  std::string fields;
  for (int i = 0; i < 300; ++i)
    fields += "X-" + std::to_string(i) + ": 1\r\n";
  CHECK(causeOf(kOk + fields + "Content-Length: 0\r\n\r\n") == Cause::Malformed);
}
