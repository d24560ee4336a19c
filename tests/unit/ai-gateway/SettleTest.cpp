/// Every way out of a call gives back what was held for it, and books what it cost.
#include "Stage.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace matrixos::gateway::test;
using namespace matrixos::gateway;
using matrixos::test::eventually;
using matrixos::test::RawConnection;
using namespace std::chrono_literals;

namespace {

bool has(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

Money micro(std::int64_t amount) {
  return Money::ofPico(amount * 1'000'000);
}

/// What the one row of the stage says; a row that costs nothing when there is none.
CallRow onlyRow(const Stage &stage) {
  const auto rows = stage.books.rows();
  REQUIRE(rows.size() <= 1);
  return rows.empty() ? CallRow{} : rows.front();
}

} // namespace

TEST_CASE("however an upstream ends a call, nothing stays held, and what it may have cost is booked") {
  struct Row {
    const char *name;
    std::string says;   ///< then the connection ends
    int status;         ///< for the client; 0: broken off
    std::int64_t least; ///< what is booked, in µ$
    std::int64_t most;
    bool partial;
  };
  const std::string start = kStreamHead + chunk(startEvent(40));
  // The hold is a third of the body's bytes at the price of a write and 100 tokens of output: at most 700 µ$.
  for (const Row &row : std::vector<Row>{
           {"whole", answerOf("200 OK", messageOf(10, 20)), 200, 110, 110, false},
           {"whole stream", start + chunk(endEvents(8)) + "0\r\n\r\n", 200, 80, 80, false},
           {"an error", answerOf("400 Bad Request", "{}"), 400, 0, 0, false},
           {"no usage", answerOf("200 OK", "{}"), 200, 1, 700, true},
           {"not JSON", answerOf("200 OK", "<html>"), 200, 1, 700, true},
           {"stream without end", start + chunk(textEvent("some words of an answer")) + "0\r\n\r\n", 200, 41, 700,
            true},
           {"stream cut", start + chunk(textEvent("some words of an answer")), 0, 41, 700, true},
           {"cut in a chunk", start + "100\r\nevent", 0, 40, 700, true},
           {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"usage\"", 0, 1, 700, true},
           {"half a head", "HTTP/1.1 200 OK\r\nContent-Le", 502, 1, 700, true},
           {"nothing", "", 502, 1, 700, true},
           {"no HTTP", "220 smtp ready\r\n", 502, 1, 700, true},
           {"compressed", answerOf("200 OK", "xxxx", "Content-Encoding: gzip\r\n"), 502, 1, 700, true},
           {"compressed error", answerOf("400 Bad Request", "xxxx", "Content-Encoding: gzip\r\n"), 502, 0, 0, false},
           {"lies", answerOf("200 OK", messageOf(2'000'000'000, 2'000'000'000)), 200, 200, 700, true},
           {"less than nothing", answerOf("200 OK", messageOf(-5, -100)), 200, 1, 700, true},
           {"error event",
            start + chunk("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n") +
                "0\r\n\r\n",
            200, 40, 700, true},
       }) {
    CAPTURE(row.name);
    Upstream upstream([&](const Peer &peer, const std::string &) {
      peer.say(row.says);
      peer.finish();
    });
    Stage stage({upstream.url()});
    const bool stream = row.says.rfind(kStreamHead, 0) == 0;
    auto client = stage.sent(Stage::body(100, stream));
    CHECK(client.receiveResponse().status == row.status);
    REQUIRE(stage.settled());
    const CallRow booked = onlyRow(stage);
    CHECK(booked.cost >= micro(row.least));
    CHECK(booked.cost <= micro(row.most));
    CHECK(booked.partial == row.partial);
    CHECK(stage.books.ledger->spendOf("01ALICE").day == booked.cost);
  }
}

TEST_CASE("a client that leaves pays for what was begun, by what the rest of the answer says") {
  std::atomic<bool> left{false};
  Upstream upstream([&](const Peer &peer, const std::string &request) {
    const bool early = has(request, "early");
    if (!early) peer.say(kStreamHead + chunk(startEvent(40)));
    eventually([&] { return left.load(); });
    if (early) peer.say(kStreamHead + chunk(startEvent(40)));
    peer.say(chunk(textEvent("more")) + chunk(endEvents(8)) + "0\r\n\r\n");
  });
  for (const bool early : {false, true}) {
    CAPTURE(early);
    left = false;
    Stage stage({upstream.url()});
    {
      auto client = stage.sent(Stage::body(100, true, early ? R"(,"metadata":{"user_id":"early"})" : ""));
      if (early)
        REQUIRE(eventually([&] { return stage.books.ledger->total().held != Money(); }));
      else
        REQUIRE(has(client.receive(200), "200 OK"));
      matrixos::test::resetOnClose(client.fd());
    }
    REQUIRE(eventually([&] { return stage.gateway->connections() == 0; }));
    left = true;
    REQUIRE(stage.settled());
    const CallRow booked = onlyRow(stage);
    CHECK(booked.cost == micro(80));
    CHECK_FALSE(booked.partial);
  }
}

TEST_CASE("the rest of an answer is read for a while only, and not once the gateway stops") {
  Upstream upstream([&](const Peer &peer, const std::string &) {
    peer.say(kStreamHead + chunk(startEvent(40)));
    while (!peer.stopping() && peer.say(chunk(textEvent(std::string(10'000, 'x'))))) {
    }
  });
  for (const bool stops : {false, true}) {
    CAPTURE(stops);
    Stage stage({upstream.url()}, [&](GatewayOptions &options) {
      options.drain = stops ? 60s : 100ms;
      options.drainBytes = stops ? UINT64_MAX : 100'000;
    });
    { REQUIRE(has(stage.sent(Stage::body(100, true)).receive(200), "200 OK")); }
    if (stops) stage.gateway->stop(0ms);
    REQUIRE(stage.settled());
    CHECK(onlyRow(stage).partial);
    CHECK(onlyRow(stage).cost >= micro(41));
    CHECK(onlyRow(stage).cost <= micro(700));
  }
}

TEST_CASE("calls under way when the gateway stops, at whatever point, leave nothing held") {
  std::atomic<int> reached{0};
  Upstream upstream([&](const Peer &peer, const std::string &request) {
    if (has(request, "stream")) peer.say(kStreamHead + chunk(startEvent(40)));
    ++reached;
    peer.hang();
  });
  Stage stage({upstream.url()});
  std::vector<RawConnection> clients;
  for (int i = 0; i < 10; ++i)
    clients.push_back(stage.sent(Stage::body(10, i % 2 == 0)));
  REQUIRE(eventually([&] { return reached == 10; }));
  CHECK(stage.books.ledger->total().held > Money());
  stage.gateway->stop(50ms);
  REQUIRE(stage.settled());
  CHECK(stage.books.rows().size() == 10);
}

TEST_CASE("a spent budget refuses in the words that clients print, with the time of its reset") {
  Upstream upstream(answerOf("200 OK", messageOf(10, 20)));
  Ledger::Settings limits;
  limits.perUser.daily = micro(1'000);
  Stage stage({upstream.url()}, {}, limits);
  Response answer = stage.post(Stage::body());
  CHECK(answer.status == 200);
  CHECK(answer.headers.at("anthropic-ratelimit-unified-status") == "allowed");
  answer = stage.post(Stage::body(1'000)); // it may cost more than is left
  CHECK(answer.status == 429);
  CHECK(has(answer.body, R"("type":"billing_error","message":"spend limit reached (daily; resets )"));
  CHECK(has(answer.body, " 00:00 UTC)\""));
  CHECK(answer.headers.at("x-should-retry") == "false");
  const int wait = std::atoi(answer.headers.at("retry-after").c_str());
  CHECK(wait >= 1);
  CHECK(wait <= 86'400);
  CHECK(std::stoll(answer.headers.at("anthropic-ratelimit-unified-reset")) % 86'400 == 0);
  CHECK(upstream.requests().size() == 1);
  CHECK(stage.settled());
  // Of 0 everything is refused.
  limits.perUser.daily = Money();
  Stage none({upstream.url()}, {}, limits);
  answer = none.post(Stage::body());
  CHECK(answer.status == 429);
  CHECK(answer.headers.at("anthropic-ratelimit-unified-status") == "rejected");
  CHECK(upstream.requests().size() == 1);
}

TEST_CASE("parallel calls never overspend a small budget, and everything is given back") {
  Upstream upstream([](const Peer &peer, const std::string &) { peer.say(answerOf("200 OK", messageOf(30, 100))); });
  Ledger::Settings limits;
  limits.perUser.daily = micro(3'000); // five at a time, and five at all
  Stage stage(
      {upstream.url()}, [](GatewayOptions &options) { options.server.loops = 2; }, limits);
  std::atomic<int> ok{0}, refused{0}, other{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 40; ++i) {
    callers.emplace_back([&] {
      const int status = stage.post(Stage::body()).status;
      ++(status == 200 ? ok : status == 429 ? refused : other);
    });
  }
  for (std::thread &caller : callers)
    caller.join();
  REQUIRE(stage.settled());
  CHECK(other == 0);
  CHECK(ok >= 1);
  CHECK(refused >= 1);
  CHECK(stage.books.ledger->total().day <= micro(3'000));
  CHECK(stage.books.rows().size() == static_cast<std::size_t>(ok));
  CHECK(upstream.requests().size() == static_cast<std::size_t>(ok));
}

TEST_CASE("with estimates a stream that costs more than may be spent is ended with an error event") {
  Upstream upstream([&](const Peer &peer, const std::string &request) {
    if (!has(request, "\"stream\":true")) return void(peer.say(answerOf("200 OK", messageOf(10, 10))));
    peer.say(kStreamHead + chunk(startEvent(10)));
    for (int i = 0; i < 2'000 && !peer.stopping(); ++i) // 3 tokens each, and more than 100,000 of output in all
      if (!peer.say(chunk(textEvent(std::string(300, 'x'))))) return;
    peer.say(chunk(endEvents(200'000)) + "0\r\n\r\n");
  });
  Ledger::Settings limits;
  limits.perUser.daily = micro(20'000);
  Stage stage(
      {upstream.url()}, [](GatewayOptions &options) { options.rules.worstCase = false; }, limits);
  REQUIRE(stage.post(Stage::body(100'000)).status == 429); // without any history the worst case is held
  REQUIRE(stage.post(Stage::body(100)).status == 200);
  const Response cut = stage.post(Stage::body(100'000, true)); // by now 1,000 tokens are
  CHECK(cut.status == 200);
  CHECK(has(cut.body, "event: message_start"));
  const std::size_t error =
      cut.body.find("\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"billing_error\"");
  REQUIRE(error != std::string::npos);
  CHECK(cut.body.find("event: ", error + 4) == std::string::npos); // it is the last one
  CHECK(cut.body.substr(cut.body.size() - 2) == "\n\n");
  REQUIRE(stage.settled());
  REQUIRE(stage.books.rows().size() == 2);
  CHECK(stage.books.rows()[1].partial);
  // Above the limit by one block of the stream, 32 KiB, of which all has come by the time it is read; not by all of it.
  CHECK(stage.books.ledger->total().day <= micro(80'000));
}

TEST_CASE("rates refuse with the time to wait, and say what is left") {
  std::atomic<bool> goOn{false};
  Upstream upstream([&](const Peer &peer, const std::string &request) {
    if (has(request, "\"stream\":true")) eventually([&] { return goOn.load(); });
    peer.say(answerOf("200 OK", messageOf(10, 20)));
  });
  Stage stage({upstream.url()}, [](GatewayOptions &options) { options.rates = {.requestsPerMinute = 2}; });
  Response answer = stage.post(Stage::body());
  CHECK(answer.status == 200);
  CHECK(answer.headers.at("anthropic-ratelimit-requests-limit") == "2");
  CHECK(answer.headers.at("anthropic-ratelimit-requests-remaining") == "1");
  CHECK(stage.post(Stage::body()).status == 200);
  answer = stage.post(Stage::body());
  CHECK(answer.status == 429);
  CHECK(has(answer.body, "rate_limit_error"));
  CHECK(std::atoi(answer.headers.at("retry-after").c_str()) >= 1);
  CHECK(answer.headers.count("x-should-retry") == 0);

  Stage tokens({upstream.url()}, [](GatewayOptions &options) { options.rates = {.tokensPerMinute = 300}; });
  CHECK(tokens.post(Stage::body(150)).status == 200); // it took 30 in the end
  CHECK(tokens.settled());
  CHECK(tokens.post(Stage::body(150)).status == 200);
  CHECK(tokens.settled());
  CHECK(tokens.post(Stage::body(250)).status == 429);

  Stage busy({upstream.url()}, [](GatewayOptions &options) { options.rates = {.concurrent = 1}; });
  auto first = busy.sent(Stage::body(10, true));
  REQUIRE(eventually([&] { return busy.books.ledger->total().held != Money(); }));
  CHECK(busy.post(Stage::body()).status == 429);
  goOn = true;
  CHECK(first.receiveResponse().status == 200);
  CHECK(eventually([&] { return busy.post(Stage::body()).status == 200; }));
  CHECK(busy.settled());
}

TEST_CASE("a call that cannot be written down does not go out") {
  Upstream upstream(answerOf("200 OK", messageOf(1, 1)));
  Stage stage({upstream.url()});
  stage.books.ledger->end();
  const Response answer = stage.post(Stage::body());
  CHECK(answer.status == 529);
  CHECK(has(answer.body, "overloaded_error"));
  CHECK(upstream.requests().empty());
}
