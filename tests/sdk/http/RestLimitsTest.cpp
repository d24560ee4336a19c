/// The rest of an answer is read within limits, and its observer hears of the end once, whatever ends it.
#include "Lab.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <iterator>
#include <utility>

using namespace lab;
using namespace std::chrono_literals;
using matrixos::http::ServerOptions;

namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kHead = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";

/// The upstream of a client that has left, inside the body or before the head.
End abandoned(Lab &lab, bool inBody) {
  auto [client, upstream] = lab.exchange(kGet);
  if (inBody) {
    const std::size_t before = lab.told.payload.size();
    upstream.send(kHead + "half");
    REQUIRE(lab.until([&] { return lab.told.payload.size() == before + 4; }));
  }
  const std::size_t ended = lab.finished.size();
  client.reset();
  REQUIRE(lab.until([&] { return lab.finished.size() == ended + 1; }));
  return std::move(upstream);
}

ServerOptions atMost(std::size_t rests) {
  ServerOptions options;
  options.mostRests = rests;
  return options;
}

std::ptrdiff_t descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

} // namespace

TEST_CASE("an upstream that says no more is let go of when the time has passed, and not before") {
  for (const bool inBody : {true, false}) {
    CAPTURE(inBody);
    Lab lab;
    lab.readRests(10s);
    End upstream = abandoned(lab, inBody);
    lab.pass(9s);
    CHECK(lab.rest.ends() == 0);
    CHECK(lab.restsAlive == 1);
    upstream.send(inBody ? "more" : "HTTP/1.1 100 Continue\r\n\r\n"); // which gives it no more time
    lab.pass(900ms);
    CHECK(lab.rest.ends() == 0);
    lab.pass(200ms);
    CHECK(lab.rest.broken == 1);
    CHECK(lab.rest.complete == 0);
    CHECK(lab.rest.heads == 0);
    CHECK(lab.rest.payload == (inBody ? "more" : ""));
    CHECK(lab.restsAlive == 0);
    CHECK(lab.until([&] { return upstream.closed(); }));
    CHECK(lab.loop().upstreams().size() == 0);
  }
}

TEST_CASE("any time may be asked for") {
  for (const auto most : {std::chrono::milliseconds::min(), 0ms, std::chrono::milliseconds::max()}) {
    CAPTURE(most.count());
    Lab lab;
    lab.readRests(most);
    End upstream = abandoned(lab, true);
    lab.soon();
    CHECK(lab.rest.broken == (most > 0ms ? 0 : 1));
  }
}

TEST_CASE("no more is read than was asked for") {
  for (const std::uint64_t most : {0U, 1U, 95U, 96U, 1000U}) {
    CAPTURE(most);
    Lab lab;
    lab.readRests(10s, most);
    End upstream = abandoned(lab, true);
    lab.soon();
    upstream.send(std::string(96, 'x'));
    CHECK(lab.until([&] { return lab.rest.ends() == 1; }));
    CHECK(lab.rest.complete == (most >= 96 ? 1 : 0));
    CHECK(lab.rest.payload.size() == std::min<std::uint64_t>(most, 96));
    if (most != 96) CHECK(lab.loop().upstreams().size() == (most > 96 ? 1 : 0)); // at the limit either will do
  }
}

TEST_CASE("what came last of a burst is shown at once") {
  ServerOptions options;
  options.bufferSize = 1024;
  for (std::size_t blocks = 1; blocks < 40; ++blocks) {
    CAPTURE(blocks);
    Lab lab(options);
    lab.readRests();
    auto [client, upstream] = lab.exchange(kGet);
    client.reset();
    REQUIRE(lab.until([&] { return lab.finished.size() == 1; }));
    upstream.send("HTTP/1.1 200 OK\r\n\r\n");
    lab.soon();
    REQUIRE(lab.until([&] { return lab.rest.heads == 1; }));
    const std::size_t size = blocks * options.bufferSize - 1; // the last block comes short: nothing is left to be read
    upstream.send(std::string(size, 'x'));
    CHECK(lab.until([&] { return lab.rest.payload.size() == size; }));
  }
}

TEST_CASE("an endless line, endless heads and endless chunks cost no more than that") {
  const std::string interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
  for (const std::string &piece : {std::string("1\r\nx\r\n"), interim, std::string("x")}) {
    CAPTURE(piece);
    Lab lab;
    lab.readRests(10s, 100'000);
    End upstream = abandoned(lab, false);
    lab.soon();
    if (piece == "x") upstream.send("HTTP/1.1 200 OK\r\n\r\n");
    if (piece[0] == '1') upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string block;
    while (block.size() < 8'000)
      block += piece;
    CHECK(lab.until([&] {
      upstream.sendSome(block);
      return lab.rest.ends() == 1;
    }));
    CHECK(lab.rest.broken == 1);
    CHECK(lab.rest.payload.size() <= 100'000);
    CHECK(lab.until([&] { return upstream.closed(); }));
  }
}

TEST_CASE("an upstream that lies or leaves ends it") {
  for (const char *answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 2", "nonsense\r\n\r\n", "\x16\x03\x01", ""}) {
    CAPTURE(answer);
    Lab lab;
    lab.readRests();
    End upstream = abandoned(lab, false);
    upstream.send(answer);
    upstream.close();
    CHECK(lab.until([&] { return lab.rest.ends() == 1; }));
    CHECK(lab.rest.broken == 1);
    CHECK(lab.told.ends() == 0);
    CHECK(lab.loop().upstreams().size() == 0);
  }
}

TEST_CASE("what the observer of the rest throws ends it, and no other") {
  for (const bool atHead : {true, false}) {
    CAPTURE(atHead);
    Lab lab;
    lab.readRests();
    const auto fail = [] { throw std::runtime_error("an observer that fails"); };
    if (atHead)
      lab.onRestHead = fail;
    else
      lab.onRest = [&](std::string_view) { fail(); };
    End first = abandoned(lab, false);
    End second = abandoned(lab, false);
    first.send(kHead + "x");
    CHECK(lab.until([&] { return lab.rest.broken == 1; }));
    CHECK(lab.until([&] { return first.closed(); }));
    lab.onRest = nullptr;
    lab.onRestHead = nullptr;
    second.send(kHead + std::string(100, 'x'));
    CHECK(lab.until([&] { return lab.rest.complete == 1; }));
    CHECK(lab.restsAlive == 0);
  }
}

TEST_CASE("who throws when it is asked is told of the end as ever") {
  Lab lab;
  lab.onGone = []() -> BodyObserver::Rest { throw std::runtime_error("an observer that fails"); };
  End upstream = abandoned(lab, true);
  CHECK(lab.told.broken == 1);
  CHECK(lab.until([&] { return upstream.closed(); }));
}

TEST_CASE("a server that drains or stops ends them at once, and begins no others") {
  for (const bool drains : {true, false}) {
    for (const bool inBody : {true, false}) {
      CAPTURE(drains);
      CAPTURE(inBody);
      Lab lab;
      lab.readRests();
      End upstream = abandoned(lab, inBody);
      auto [client, other] = lab.exchange(kGet);
      other.send(kHead + "half");
      CHECK(lab.until([&] { return lab.told.payload.size() == (inBody ? 8 : 4); }));
      drains ? lab.loop().drain() : lab.loop().closeAll();
      CHECK(lab.rest.broken == 1);
      lab.turn();
      CHECK(lab.restsAlive == 0);
      CHECK(lab.until([&] { return upstream.closed(); }));
      client.reset();
      CHECK(lab.until([&] { return lab.finished.size() == 2; }));
      CHECK(lab.asked == 1);
      CHECK(lab.rest.ends() == 1);
      CHECK(lab.told.broken == 1);
    }
  }
}

TEST_CASE("a loop that ends without having been stopped tells them as well") {
  Told seen;
  struct Counter final : BodyObserver {
    explicit Counter(Told &counts) : told(counts) {}
    void onResponseEnd(bool complete) noexcept override { ++(complete ? told.complete : told.broken); }
    Told &told;
  };
  {
    Lab lab;
    lab.onGone = [&] { return BodyObserver::Rest{std::make_shared<Counter>(seen), 10s, 1000}; };
    abandoned(lab, true);
    CHECK(seen.ends() == 0);
  }
  CHECK(seen.broken == 1);
}

TEST_CASE("above the most the oldest ends, and with none nobody is asked") {
  Lab lab(atMost(2));
  lab.readRests();
  std::vector<End> upstreams;
  for (int i = 0; i < 4; ++i) {
    upstreams.push_back(abandoned(lab, true));
    CHECK(lab.rest.broken == std::max(0, i - 1));
  }
  CHECK(lab.until([&] { return upstreams[0].closed() && upstreams[1].closed(); }));
  CHECK(!upstreams[2].closed());
  CHECK(!upstreams[3].closed());
  lab.turn();
  CHECK(lab.restsAlive == 2);

  Lab none(atMost(0));
  none.readRests();
  abandoned(none, true);
  CHECK(none.asked == 0);
  CHECK(none.told.broken == 1);
}

TEST_CASE("an observer that makes room for another by its own end sees nothing more") {
  Lab lab(atMost(1));
  lab.readRests();
  ClientExchange *open = nullptr;
  lab.onPiece = [&](ClientExchange &exchange, std::string_view) { open = &exchange; };
  auto [client, second] = lab.exchange(kGet);
  second.send(kHead + "half");
  CHECK(lab.until([&] { return open != nullptr; }));
  lab.onPiece = nullptr;
  End first = abandoned(lab, true);
  lab.onRest = [&](std::string_view) {
    if (open != nullptr) std::exchange(open, nullptr)->abort("it is enough");
  };
  first.send("one");
  CHECK(lab.until([&] { return lab.rest.broken == 1; }));
  CHECK(lab.rest.payload == "one");
  second.send(std::string(96, 'x'));
  lab.soon();
  CHECK(lab.until([&] { return lab.rest.complete == 1; }));
  CHECK(lab.rest.payload.size() == 3 + 96);
  CHECK(lab.restsAlive == 0);
}

TEST_CASE("an address that is retired is let go of in time") {
  Lab lab;
  lab.readRests();
  End upstream = abandoned(lab, true);
  lab.pass(1s);
  lab.retirement->setAt(lab.loop().nowMs() + 2000);
  lab.pass(1s);
  CHECK(lab.rest.ends() == 0);
  lab.pass(2s);
  CHECK(lab.rest.broken == 1);
  CHECK(lab.until([&] { return upstream.closed(); }));

  // A rest that ends well before that leaves no connection to it behind.
  Lab other;
  other.readRests();
  End last = abandoned(other, true);
  other.retirement->setAt(other.loop().nowMs() + 5000);
  last.send(std::string(96, 'x'));
  CHECK(other.until([&] { return other.rest.complete == 1; }));
  CHECK(other.loop().upstreams().size() == 0);
}

TEST_CASE("a thousand at once hold nothing when they have ended") {
  Lab lab;
  const std::ptrdiff_t before = descriptors();
  lab.readRests(10s);
  constexpr int kMany = 1000;
  {
    std::vector<End> upstreams;
    for (int i = 0; i < kMany; ++i)
      upstreams.push_back(abandoned(lab, i % 2 == 0));
    CHECK(lab.restsAlive == kMany);
    CHECK(lab.loop().connections() == 0);
    // A third ends whole, a third is broken off, and a third hears nothing more.
    for (std::size_t i = 0; i < upstreams.size(); ++i) {
      if (i % 3 == 0) upstreams[i].send((i % 2 == 0 ? "" : kHead + "half") + std::string(96, 'x'));
      if (i % 3 == 1) upstreams[i].reset();
    }
    CHECK(lab.until([&] { return lab.rest.complete == 334 && lab.rest.broken == 333; }));
    lab.pass(10s + 200ms);
    CHECK(lab.rest.ends() == kMany);
    CHECK(lab.restsAlive == 0);
    CHECK(lab.until([&] { return lab.loop().upstreams().size() == 0; })); // idle for too long
  }
  CHECK(descriptors() == before);
}
