/// Upstreams that lie, flood and never end, before the real daemon: what one costs a caller has an end, what it costs
/// the daemon too, and others are served meanwhile.
#include "Audit.h"

#include <doctest/doctest.h>
#include <support/ScriptedServer.h>
#include <support/Text.h>
#include <support/Wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

using namespace matrixos::test;

namespace {

/// By how much the daemon may grow, whatever comes. Each connection has two blocks of 32 KB and two TLS records at
/// most; nearly all of it is what a daemon that has just started has not used yet, its threads' heaps and the
/// database's cache. One that kept a single endless answer would grow by kEnough.
constexpr std::uint64_t kMostGrowth = 32U << 20U;
/// A client of something endless leaves when it has so much of it.
#ifdef MATRIXOS_INSTRUMENTED
constexpr std::size_t kEnough = 4U << 20U;
#else
constexpr std::size_t kEnough = 48U << 20U;
#endif

/// Or when it has waited for so long.
constexpr std::chrono::seconds kLongEnough{2};

std::uint64_t residentBytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Bob, who calls one call after the other, and looks how large the daemon is.
class Neighbour {
public:
  Neighbour(const GatewayPlatform &platform, pid_t daemon)
      : platform_(platform), daemon_(daemon), thread_([this] { callOnAndOn(); }) {}
  ~Neighbour() {
    stop_ = true;
    thread_.join();
  }
  int served() const noexcept { return served_; }
  std::uint64_t largest() const noexcept { return largest_; }

private:
  void callOnAndOn() {
    RawConnection connection(platform_.port());
    while (!stop_) {
      LabelledCall call{"bob-" + std::to_string(++last_), "text=3 input=100 output=100", last_ % 2 == 0, "bob"};
      connection.send(call.request());
      const Response answer = connection.receiveResponse();
      CHECK_MESSAGE(answer.status == 200, answer.body);
      if (answer.status != 200) return;
      ++served_;
      largest_ = std::max(largest_.load(), residentBytes(daemon_));
    }
  }

  const GatewayPlatform &platform_;
  const pid_t daemon_;
  int last_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> served_{0};
  std::atomic<std::uint64_t> largest_{0};
  std::thread thread_; // last: it uses the others
};

DaemonProcess::Values shortDrain(DaemonProcess::Values more = {}) {
  more["ai-gateway.drain"] = "300ms";
  return more;
}

struct Evil {
  std::string words;
  bool stream;
};

/// Calls as alice, one scenario after the other; bob is served meanwhile, and the daemon stays small.
class Ordeal {
public:
  explicit Ordeal(GatewayPlatform &platform) : platform_(platform) {}

  void suffer(const std::vector<Evil> &evils) {
    const Neighbour bob(platform_, platform_.daemon.process().pid());
    CHECK(eventually([&] { return bob.served() > 20; }));
    const std::uint64_t before = bob.largest();
    for (const Evil &evil : evils) {
      CAPTURE(evil.words);
      CAPTURE(evil.stream);
      sufferOne(evil);
      const int served = bob.served();
      CHECK(eventually([&] { return bob.served() > served + 1; }));
    }
    MESSAGE("the daemon grew by ", (bob.largest() - before) >> 10U, " KB");
#ifndef MATRIXOS_INSTRUMENTED
    CHECK(bob.largest() - before <= kMostGrowth);
#endif
  }
  const std::vector<LabelledCall> &calls() const noexcept {
    return calls_;
  }

private:
  void sufferOne(const Evil &evil) {
    LabelledCall call{"alice-" + std::to_string(calls_.size()), evil.words, evil.stream};
    {
      RawConnection connection(platform_.port());
      std::string request = call.request();
      connection.send(request.insert(request.find("Host:"), "Connection: close\r\n"));
      const std::string got = connection.receive(kEnough, kLongEnough);
      CHECK_MESSAGE((got.empty() || has(got.substr(0, 9), "HTTP/1.1 ")), got.substr(0, 100));
      resetOnClose(connection.fd());
    }
    CHECK(eventually([&] { return picoOf(platform_.admin("/usage/alice").body, "heldUsd") == 0; }));
    calls_.push_back(std::move(call));
  }

  GatewayPlatform &platform_;
  std::vector<LabelledCall> calls_;
};

void sayForEver(const Peer &peer, const std::string &block) {
  while (!peer.stopping() && peer.say(block)) {
  }
}

std::string message(const std::string &more = {}) {
  return R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[],)" + more +
         R"("stop_reason":"end_turn","usage":{"input_tokens":100,"output_tokens":100}})";
}
std::string answer(const std::string &fields, const std::string &body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + fields + "\r\n" + body;
}
std::string lengthOf(const std::string &body, std::int64_t more = 0) {
  return "Content-Length: " + std::to_string(static_cast<std::int64_t>(body.size()) + more) + "\r\n";
}

/// What is wrong with HTTP itself; by the word of the scenario that asks for it.
struct Wire {
  const char *word;
  std::function<void(const Peer &peer)> play;
};

const std::string kChunked = "Transfer-Encoding: chunked\r\n";
const std::string kBlock(64U << 10U, 'x');

const std::vector<Wire> &wires() {
  static const std::vector<Wire> all = {
      {"endless-fields",
       [](const Peer &peer) {
         peer.say("HTTP/1.1 200 OK\r\n");
         sayForEver(peer, "X-Padding: " + std::string(100, 'x') + "\r\n");
       }},
      {"endless-field",
       [](const Peer &peer) {
         peer.say("HTTP/1.1 200 OK\r\nX-Padding: ");
         sayForEver(peer, kBlock);
       }},
      {"endless-status", [](const Peer &peer) { sayForEver(peer, kBlock); }},
      {"interim-flood", [](const Peer &peer) { sayForEver(peer, "HTTP/1.1 100 Continue\r\n\r\n"); }},
      {"interim-fields",
       [](const Peer &peer) {
         sayForEver(peer, "HTTP/1.1 103 Early Hints\r\nLink: <" + std::string(8'000, 'x') + ">\r\n\r\n");
       }},
      {"too-long", // by its length
       [](const Peer &peer) {
         peer.say(answer(lengthOf(message(), 1'000), message()));
         peer.finish();
       }},
      {"too-short", [](const Peer &peer) { peer.say(answer(lengthOf(message(), -20), message())); }},
      {"huge-length",
       [](const Peer &peer) {
         peer.say(answer("Content-Length: 999999999999999999\r\n", "{\"a\":\""));
         sayForEver(peer, kBlock);
       }},
      {"two-lengths",
       [](const Peer &peer) { peer.say(answer("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")); }},
      {"no-length", [](const Peer &peer) { peer.say(answer("Content-Length: -1\r\n", message())); }},
      {"length-and-chunks",
       [](const Peer &peer) { peer.say(answer("Content-Length: 5\r\n" + kChunked, "0\r\n\r\n")); }},
      {"huge-chunk", [](const Peer &peer) { peer.say(answer(kChunked, "FFFFFFFFFFFFFFFFFF\r\n")); }},
      {"endless-extension",
       [](const Peer &peer) {
         peer.say(answer(kChunked, "5;"));
         sayForEver(peer, kBlock);
       }},
      {"endless-trailers",
       [](const Peer &peer) {
         peer.say(answer(kChunked, "0\r\n"));
         sayForEver(peer, "X-Padding: " + std::string(100, 'x') + "\r\n");
       }},
      {"endless-document",
       [](const Peer &peer) {
         peer.say(answer("Connection: close\r\n", R"({"usage":{"input_tokens":1},"content":[{"text":")"));
         sayForEver(peer, kBlock);
       }},
      {"endless-digits",
       [](const Peer &peer) {
         peer.say(answer("Connection: close\r\n", R"({"usage":{"input_tokens":)"));
         sayForEver(peer, std::string(64U << 10U, '9'));
       }},
      {"endless-depth",
       [](const Peer &peer) {
         peer.say(answer("Connection: close\r\n", ""));
         sayForEver(peer, std::string(64U << 10U, '['));
       }},
      {"endless-events",
       [](const Peer &peer) {
         peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
         sayForEver(peer, "event: message_delta\ndata: {\"usage\":{\"output_tokens\":99999999,\"iterations\":["
                          "{\"type\":\"message\",\"input_tokens\":99999999}]}}\n\n");
       }},
      {"two-answers",
       [](const Peer &peer) {
         const std::string one = answer(lengthOf(message()), message());
         peer.say(one + one);
       }},
      {"switch",
       [](const Peer &peer) {
         peer.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
       }},
  };
  return all;
}

void serveWire(const Peer &peer) {
  for (;;) {
    const std::string request = peer.readRequest();
    if (request.empty()) return;
    const auto asked = std::find_if(wires().begin(), wires().end(), [&](const Wire &wire) {
      return has(request, "scenario: " + std::string(wire.word) + " ");
    });
    if (asked != wires().end()) return asked->play(peer);
    peer.say(answer(lengthOf(message()), message()));
  }
}

} // namespace

TEST_CASE("whatever an answer says of what it cost, and however long it is, the caller pays for what he reserved") {
  GatewayPlatform platform(shortDrain());
  Ordeal ordeal(platform);
  std::vector<Evil> evils;
  for (const char *lie : {"nan", "negative", "huge", "text", "array", "duplicate", "deep", "none", "nulls"})
    for (const bool stream : {false, true})
      evils.push_back({std::string("usage=") + lie, stream});
  for (const char *words :
       {"endless", "giant=1073741824", "bytes=10000000 text=3", "gzip", "gzip bytes=30000000 text=1", "head=10000",
        "head=10000000", "hang=200", "cut=300", "text=20000", "deltas=2000"})
    evils.push_back({words, true});
  ordeal.suffer(evils);
  const Audit audit(platform);
  audit.checkBounded(ordeal.calls());
  for (const auto &[label, row] : audit.rows())
    if (row.handle == "bob") CHECK_MESSAGE(audit.isExact(label), audit.tell(label));
}

TEST_CASE("what is no HTTP, or has no end, costs the caller no more than he reserved, and reaches nobody else") {
  ScriptedServer server(serveWire);
  server.listen();
  GatewayPlatform platform(shortDrain({{"ai-gateway.upstream", "http://127.0.0.1:" + std::to_string(server.port())}}));
  Ordeal ordeal(platform);
  std::vector<Evil> evils;
  for (const Wire &wire : wires())
    evils.push_back({wire.word, false});
  ordeal.suffer(evils);
  const Audit audit(platform);
  audit.checkBounded(ordeal.calls());
  for (const auto &[label, row] : audit.rows())
    if (row.handle == "bob") CHECK_MESSAGE((row.pico == 60'000'000 && !row.partial), label);
}
