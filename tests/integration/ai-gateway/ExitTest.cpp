/// Every way out of a call, through the daemon: nothing stays held, and the row is what the upstream wrote down.
#include "Audit.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <support/Text.h>
#include <support/Wait.h>
#include <sys/socket.h>

#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::test;

namespace {

enum class Booking : std::uint8_t {
  Exact,     ///< what the upstream's log says
  Estimated, ///< partial, at most what was held
  Free       ///< no row, or one of nothing
};

/// What the client does once it has sent its request.
enum class Client : std::uint8_t {
  Reads,       ///< to the end
  Leaves,      ///< before the head, with a reset
  Closes,      ///< the same, in good order
  HalfCloses,  ///< only its own side, and waits for the answer
  LeavesLater, ///< inside the answer
  Dawdles,     ///< lets the answer wait, then reads it to the end
  Stalls       ///< never reads
};

struct Exit {
  std::string name, words;
  bool stream;
  Client client;
  int status; ///< of what it reads; 0: not whole
  Booking booking;
};

/// Ended by the upstream, or by the client; the upstream comes to an end of its own. Nothing waits for a timeout.
const std::vector<Exit> kEnding = {
    {"document", "text=3", false, Client::Reads, 200, Booking::Exact},
    {"stream", "text=3 pause=50", true, Client::Reads, 200, Booking::Exact},
    {"declined by the model", "refusal", true, Client::Reads, 200, Booking::Free},
    {"400", "status=400", false, Client::Reads, 400, Booking::Free},
    {"401", "status=401", false, Client::Reads, 401, Booking::Free},
    {"429", "status=429", true, Client::Reads, 429, Booking::Free},
    {"500", "status=500", false, Client::Reads, 500, Booking::Free},
    {"529", "status=529", true, Client::Reads, 529, Booking::Free},
    {"error page", "status=502 html", true, Client::Reads, 502, Booking::Free},
    {"redirect", "redirect=http://127.0.0.1:1/", false, Client::Reads, 502, Booking::Free},
    {"no answer", "cut=0", true, Client::Reads, 502, Booking::Estimated},
    {"cut document", "cut=20", false, Client::Reads, 0, Booking::Estimated},
    {"cut stream", "cut=700 text=9", true, Client::Reads, 0, Booking::Estimated},
    {"error event", "error-after=4", true, Client::Reads, 200, Booking::Estimated},
    {"no end", "unended", true, Client::Reads, 200, Booking::Estimated},
    {"no usage", "usage=none", false, Client::Reads, 200, Booking::Estimated},
    {"compressed", "gzip", true, Client::Reads, 502, Booking::Estimated},
    {"left before the head", "first=400", false, Client::Leaves, 0, Booking::Exact},
    {"left before the head of a stream", "first=400 text=3 pause=20", true, Client::Leaves, 0, Booking::Exact},
    {"closed before the head", "first=400", true, Client::Closes, 0, Booking::Exact},
    {"half closed", "first=400 text=3 pause=20", true, Client::HalfCloses, 200, Booking::Exact},
    {"left in the stream", "text=20 pause=20", true, Client::LeavesLater, 0, Booking::Exact},
    {"slow", "text=300 bytes=10000", true, Client::Dawdles, 200, Booking::Exact},
};

/// Only a timeout ends them.
const std::vector<Exit> kEndless = {
    {"silence", "hang=0", false, Client::Reads, 504, Booking::Estimated},
    {"stream that falls silent", "hang=700 text=9", true, Client::Reads, 0, Booking::Estimated},
    {"left long before the head", "first=9999999", true, Client::Leaves, 0, Booking::Estimated},
    {"closed long before the head", "first=9999999", false, Client::Closes, 0, Booking::Estimated},
    {"half closed long before the head", "first=9999999", false, Client::HalfCloses, 504, Booking::Estimated},
    {"left in a stream that falls silent", "hang=1500 text=20", true, Client::LeavesLater, 0, Booking::Estimated},
    {"never reads", "text=900 bytes=10000", true, Client::Stalls, 0, Booking::Estimated},
};

/// Longer than a test takes, also on a machine that is busy.
DaemonProcess::Values patient() {
  return {{"ai-gateway.drain", "2m"}, {"ai-gateway.drain_bytes", "64MB"}, {"ai-gateway.connect_timeout", "1m"}};
}

DaemonProcess::Values impatient() {
  return {{"ai-gateway.drain", "500ms"},
          {"ai-gateway.first_byte_timeout", "3s"},
          {"ai-gateway.response_timeout", "3s"},
          {"ai-gateway.connect_timeout", "1m"},
          {"ai-gateway.drain_timeout", "1s"}};
}

/// With a model of its own, so that no fault counts against the others.
LabelledCall callOf(const Exit &exit, std::size_t number) {
  const std::string n = std::to_string(number);
  return {"exit-" + n, exit.words + " input=1" + n + " output=2" + n, exit.stream, "alice",
          "claude-haiku-5-5-202611" + std::to_string(10 + number)};
}

/// For what a busy machine may take its time.
constexpr std::chrono::minutes kBusy{2};

bool isUpstream(const GatewayPlatform &platform, const std::string &label) {
  return !platform.upstream.requestOf(label).empty();
}

void play(const GatewayPlatform &platform, const Exit &exit, const LabelledCall &call) {
  RawConnection connection(platform.port());
  if (exit.client == Client::Dawdles || exit.client == Client::Stalls) {
    const int small = 4096;
    ::setsockopt(connection.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }
  connection.send(call.request());
  pollfd hungUp{connection.fd(), POLLRDHUP, 0};
  switch (exit.client) {
  case Client::Leaves:
  case Client::Closes:
    CHECK(eventually([&] { return isUpstream(platform, call.label); }, kBusy));
    if (exit.client == Client::Leaves) resetOnClose(connection.fd());
    return;
  case Client::LeavesLater:
    CHECK_MESSAGE(has(connection.receive(900), "200 OK"), exit.name);
    return resetOnClose(connection.fd());
  case Client::Stalls:
    CHECK_MESSAGE(::poll(&hungUp, 1, 120'000) == 1, exit.name);
    return;
  case Client::HalfCloses:
    connection.shutdownWrite();
    break;
  case Client::Dawdles:
    std::this_thread::sleep_for(std::chrono::seconds{2}); // by then the answer waits
    break;
  case Client::Reads:
    break;
  }
  const Response answer = connection.receiveResponse();
  CHECK_MESSAGE(answer.status == exit.status, exit.name, ": ", answer.status, " ", answer.body.substr(0, 300));
}

void compare(const Audit &audit, const Exit &exit, const LabelledCall &call) {
  CAPTURE(exit.name);
  const Audit::Booked *row = audit.booked(call.label);
  if (exit.booking == Booking::Free) {
    CHECK((row == nullptr || row->pico == 0));
    CHECK(audit.owed(call.label) == nullptr);
    return;
  }
  CHECK(row != nullptr);
  if (row == nullptr) return;
  if (exit.booking == Booking::Exact) {
    CHECK_MESSAGE(audit.isExact(call.label), audit.tell(call.label));
    return;
  }
  CHECK(row->partial);
  CHECK(row->pico > 0);
  CHECK(row->pico <= call.mostPico());
}

/// All at once, and `meanwhile` on this thread.
void playAll(const GatewayPlatform &platform, const std::vector<Exit> &exits, const std::function<void()> &meanwhile) {
  std::vector<LabelledCall> calls;
  std::vector<std::thread> threads;
  for (const Exit &exit : exits) {
    calls.push_back(callOf(exit, calls.size() + 10));
    threads.emplace_back([&platform, &exit, call = calls.back()] { play(platform, exit, call); });
  }
  meanwhile();
  for (std::thread &thread : threads)
    thread.join();
  const Audit audit(platform);
  for (std::size_t i = 0; i < calls.size(); ++i)
    compare(audit, exits[i], calls[i]);
}

} // namespace

TEST_CASE("every kind of exit leaves nothing held, and the row that it should, also while the section is reloaded") {
  GatewayPlatform platform(patient());
  const Response none = request(platform.daemon.adminSocket(), "POST", "/ai/quotas/bob",
                                {{"Content-Type", "application/json"}}, R"({"dailyLimitUsd":0})");
  REQUIRE_MESSAGE(none.status == 200, none.body);
  CHECK(platform.call("bob", LabelledCall{"limit"}.body()).status == 429);
  CHECK(platform.call("alice", "{}").status == 400);
  {
    RawConnection half(platform.port());
    const std::string request = LabelledCall{"half"}.request();
    half.send(request.substr(0, request.size() - 20));
  }
  playAll(platform, kEnding, [&] {
    for (const char *limit : {"900", "800", "700"}) {
      platform.daemon.rewriteConfig({{"ai-gateway.daily_limit_usd", limit}});
      const Finished reload = platform.daemon.ctl({"reload"});
      CHECK_MESSAGE(reload.status == 0, reload.out);
    }
  });
  const Audit audit(platform);
  for (const char *label : {"limit", "half"})
    CHECK(audit.booked(label) == nullptr);
}

TEST_CASE("what only a timeout ends is booked in part, and leaves nothing held") {
  const GatewayPlatform platform(impatient());
  playAll(platform, kEndless, [] {});
}

TEST_CASE("told to stop with calls at every stage, the daemon books each and holds nothing when it is back") {
  GatewayPlatform platform(impatient());
  std::vector<LabelledCall> calls;
  std::vector<RawConnection> connections;
  for (const char *words : {"first=60000", "text=3 silence=60000", "text=900 bytes=10000", "hang=0", "hang=300"}) {
    for (const bool stream : {false, true}) {
      calls.push_back({"stop-" + std::to_string(calls.size()), words, stream});
      connections.emplace_back(platform.port());
      connections.back().send(calls.back().request());
      CHECK(eventually([&] { return isUpstream(platform, calls.back().label); }));
    }
  }
  connections.emplace_back(platform.port());
  connections.back().send("POST /v1/messages HTTP/1.1\r\nHost: gateway\r\n");
  CHECK(platform.daemon.stop() == 0);
  platform.daemon.start();
  const Audit audit(platform);
  audit.checkBounded(calls);
}

TEST_CASE("over hundreds of mixed calls the ledger is what the upstream's log says") {
  const GatewayPlatform platform(patient());
  constexpr int kThreads = 6, kCalls = 80;
  constexpr const char *kWays[] = {"text=3",
                                   "text=20 split",
                                   "crlf nospace thinking=3",
                                   "comments unknown pings=9",
                                   "deltas=5 start-output=7",
                                   "tool text=0",
                                   "text=3 bytes=30000",
                                   "first=20 body-after=20",
                                   "status=400",
                                   "refusal"};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&platform, &kWays, t] {
      std::minstd_rand random(static_cast<unsigned>(t) + 1);
      for (int i = 0; i < kCalls; ++i) {
        const std::string words = kWays[random() % std::size(kWays)] + std::string(" input=") +
                                  std::to_string(random() % 300) + " output=" + std::to_string(random() % 6000);
        const LabelledCall call{"mixed-" + std::to_string(t) + "-" + std::to_string(i), words, random() % 2 == 0,
                                t % 2 == 0 ? "alice" : "bob"};
        RawConnection connection(platform.port());
        connection.send(call.request());
        const bool leaves = random() % 8 == 0; // the rest is read all the same
        if (leaves) {
          CHECK(eventually([&] { return isUpstream(platform, call.label); }));
          continue;
        }
        const int expected = words.substr(0, 10) == "status=400" ? 400 : 200;
        CHECK(connection.receiveResponse().status == expected);
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  const Audit audit(platform);
  CHECK(audit.rows().size() >= audit.bills().size());
  CHECK(audit.bills().size() > kThreads * kCalls / 2);
  for (const auto &[label, bill] : audit.bills())
    CHECK_MESSAGE(audit.isExact(label), audit.tell(label));
  for (const auto &[label, row] : audit.rows())
    CHECK_MESSAGE((audit.owed(label) != nullptr || row.pico == 0), audit.tell(label));
}
