// Clients that read or write a byte at a time, instances that do, and sides that close only half: hundreds of them at
// once, while others are served; and nothing of them is left.
#include "Kit.h"
#include "Wire.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <functional>

using namespace kit;

namespace {

constexpr std::size_t kOfEach = 20;
const std::string kShort(200, 's');
const std::string kLong(64 * 1024, 'l');

std::string frame(bool masked) {
  return masked ? std::string("\x81\x85mask\x05\x04\x1f\x07\x02", 11) : std::string("\x81\x05hello", 7);
}

/// A client and the connection that the proxy made for it.
struct Pair {
  std::string name;
  std::unique_ptr<End> client;
  std::unique_ptr<End> instance;
  /// What happens, one after the other; each goes on until it is true. The instance is there from the second on.
  std::vector<std::function<bool(Pair &)>> steps;
  std::size_t at = 0;

  bool done() const { return at == steps.size(); }
  std::string request(const std::string &method, const std::string &fields, const std::string &body = {}) const {
    return method + " /" + name + " HTTP/1.1\r\nHost: alice.localhost\r\n" + fields + "\r\n" + body;
  }
};

std::string answerWith(const std::string &body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string inChunks(const std::string &body) {
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += 7) {
    const std::string part = body.substr(at, 7);
    out += std::to_string(part.size()) + "\r\n" + part + "\r\n";
  }
  return out + "0\r\n\r\n";
}

bool heardWhole(const std::string &heard, bool answer, const std::string &payload) {
  const std::size_t end = endOfMessage(heard, answer);
  if (end == std::string::npos) return false;
  CHECK(payloadOf(std::string_view(heard).substr(0, end)) == payload);
  if (answer) CHECK(heard.substr(9, 3) == "200");
  return true;
}
/// What came behind a head ends with it.
bool heardBehindHead(const End &end, const std::string &text) {
  const std::size_t head = end.heard().find("\r\n\r\n");
  return head != std::string::npos && end.heard().substr(head + 4) == text;
}

using Steps = std::vector<std::function<bool(Pair &)>>;
const auto kRequestIsWhole = [](Pair &p) { return endOfMessage(p.instance->heard(), false) != std::string::npos; };
const auto kClientLeaves = [](Pair &p) {
  p.client->close();
  return true;
};

Steps saying(const std::function<void(Pair &)> &first, Steps then) {
  then.insert(then.begin(), [first](Pair &p) {
    first(p);
    return true;
  });
  return then;
}
std::function<bool(Pair &)> doing(const std::function<void(Pair &)> &what) {
  return [what](Pair &p) {
    what(p);
    return true;
  };
}

Steps webSocket(Steps then) {
  Steps steps{kRequestIsWhole, doing([](Pair &p) {
                p.instance->forget(p.instance->heard().size());
                p.instance->say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
              }),
              [](Pair &p) { return heardBehindHead(*p.client, ""); }};
  steps.insert(steps.end(), then.begin(), then.end());
  return saying(
      [](Pair &p) {
        p.client->say(p.request("GET", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
      },
      std::move(steps));
}

struct Kind {
  const char *name;
  Steps steps;
};

const std::vector<Kind> &kinds() {
  static const std::vector<Kind> all{
      {"reads-slowly", saying(
                           [](Pair &p) {
                             p.client->setAppetite(1);
                             p.client->say(p.request("GET", ""));
                           },
                           {kRequestIsWhole, doing([](Pair &p) { p.instance->say(answerWith(kLong)); }),
                            [](Pair &p) { return p.client->heard().size() > 300; },
                            doing([](Pair &p) { p.client->setAppetite(SIZE_MAX); }),
                            [](Pair &p) { return heardWhole(p.client->heard(), true, kLong); }, kClientLeaves})},
      {"reads-slowly-and-leaves",
       saying(
           [](Pair &p) {
             p.client->setAppetite(1);
             p.client->say(p.request("GET", ""));
           },
           {kRequestIsWhole, doing([](Pair &p) { p.instance->say(answerWith(kLong + kLong)); }),
            [](Pair &p) { return p.client->heard().size() > 300; },
            doing([](Pair &p) { p.client->cut(Cut::Reset); })})},
      {"writes-slowly",
       saying([](Pair &p) { p.client->say(p.request("POST", "Content-Length: 200\r\n", kShort), 1, 1); },
              {[](Pair &p) { return heardWhole(p.instance->heard(), false, kShort); },
               doing([](Pair &p) { p.instance->say(answerWith("")); }),
               [](Pair &p) { return heardWhole(p.client->heard(), true, ""); }, kClientLeaves})},
      {"writes-chunks-slowly",
       saying(
           [](Pair &p) { p.client->say(p.request("PUT", "Transfer-Encoding: chunked\r\n", inChunks(kShort)), 1, 1); },
           {[](Pair &p) { return heardWhole(p.instance->heard(), false, kShort); },
            doing([](Pair &p) { p.instance->say(answerWith("")); }),
            [](Pair &p) { return heardWhole(p.client->heard(), true, ""); }, kClientLeaves})},
      {"is-answered-slowly",
       saying([](Pair &p) { p.client->say(p.request("GET", "")); },
              {kRequestIsWhole, doing([](Pair &p) { p.instance->say(answerWith(kShort), 1, 1); }),
               [](Pair &p) { return heardWhole(p.client->heard(), true, kShort); }, kClientLeaves})},
      {"is-answered-in-chunks-slowly",
       saying([](Pair &p) { p.client->say(p.request("GET", "")); },
              {kRequestIsWhole, doing([](Pair &p) {
                 p.instance->say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + inChunks(kShort), 1, 1);
               }),
               [](Pair &p) { return heardWhole(p.client->heard(), true, kShort); }, kClientLeaves})},
      {"is-read-slowly", saying([](Pair &p) { p.client->say(p.request("POST", "Content-Length: 65536\r\n", kLong)); },
                                {doing([](Pair &p) { p.instance->setAppetite(1); }),
                                 [](Pair &p) { return p.instance->heard().size() > 300; },
                                 doing([](Pair &p) { p.instance->setAppetite(SIZE_MAX); }),
                                 [](Pair &p) { return heardWhole(p.instance->heard(), false, kLong); },
                                 doing([](Pair &p) { p.instance->say(answerWith("")); }),
                                 [](Pair &p) { return heardWhole(p.client->heard(), true, ""); }, kClientLeaves})},
      {"closes-half-and-waits",
       saying(
           [](Pair &p) {
             p.client->say(p.request("GET", ""));
             p.client->cutAfter(Cut::HalfClose, true);
           },
           {kRequestIsWhole, [](Pair &p) { return p.client->isCut(); },
            doing([](Pair &p) { p.instance->say(answerWith(kShort), 1, 1); }),
            [](Pair &p) { return p.client->over() && heardWhole(p.client->heard(), true, kShort); }})},
      {"closes-half-inside-its-request",
       saying(
           [](Pair &p) {
             p.client->say(p.request("POST", "Content-Length: 201\r\n", kShort));
             p.client->cutAfter(Cut::HalfClose, true);
           },
           {[](Pair &p) { return p.instance->over() && p.client->over(); },
            doing([](Pair &p) { CHECK(endOfMessage(p.instance->heard(), false) == std::string::npos); })})},
      {"is-answered-before-it-has-said-all",
       saying([](Pair &p) { p.client->say(p.request("POST", "Content-Length: 201\r\n", kShort)); },
              {doing([](Pair &p) {
                 p.instance->say(answerWith(kShort), 1, 1);
                 p.instance->cutAfter(Cut::HalfClose, false);
               }),
               [](Pair &p) { return p.client->over() && heardWhole(p.client->heard(), true, kShort); },
               doing([](Pair &p) { p.client->say("x"); }), kClientLeaves})},
      {"is-left-inside-its-request",
       saying([](Pair &p) { p.client->say(p.request("POST", "Content-Length: 201\r\n", kShort)); },
              {doing([](Pair &p) { p.instance->cut(Cut::HalfClose); }),
               [](Pair &p) { return p.client->heard().starts_with("HTTP/1.1 502") && p.client->over(); },
               kClientLeaves})},
      {"a-websocket-whose-client-closes-half",
       webSocket({doing([](Pair &p) {
                    p.client->say(frame(true) + frame(true), 1, 1);
                    p.client->cutAfter(Cut::HalfClose, true);
                  }),
                  [](Pair &p) { return p.instance->over(); }, doing([](Pair &p) {
                    CHECK(p.instance->heard() == frame(true) + frame(true));
                    p.instance->say(frame(false) + frame(false), 1, 1);
                  }),
                  [](Pair &p) { return heardBehindHead(*p.client, frame(false) + frame(false)); },
                  doing([](Pair &p) { p.instance->close(); }), [](Pair &p) { return p.client->over(); }})},
      {"a-websocket-whose-instance-closes-half",
       webSocket({doing([](Pair &p) {
                    p.instance->say(frame(false), 1, 1);
                    p.instance->cutAfter(Cut::HalfClose, true);
                  }),
                  [](Pair &p) { return p.client->over(); }, doing([](Pair &p) {
                    CHECK(heardBehindHead(*p.client, frame(false)));
                    p.client->say(frame(true) + frame(true), 1, 1);
                  }),
                  [](Pair &p) { return p.instance->heard() == frame(true) + frame(true); }, kClientLeaves,
                  [](Pair &p) { return p.instance->over(); }})},
      {"a-websocket-that-breaks",
       webSocket(
           {doing([](Pair &p) {
              p.instance->setAppetite(1);
              p.client->say(frame(true) + frame(true));
            }),
            [](Pair &p) { return p.instance->heard().size() > 11; }, doing([](Pair &p) { p.client->cut(Cut::Reset); }),
            doing([](Pair &p) { p.instance->setAppetite(SIZE_MAX); }), [](Pair &p) { return p.instance->over(); }})},
  };
  return all;
}

/// All kinds at once, on one thread, with a proxy of one loop.
class Crowd {
public:
  Crowd();
  void play();
  std::size_t others() const { return others_; }
  std::size_t connections() const { return fixture_.proxy->connections(); }
  std::size_t inFlight() { return fixture_.inFlight("alice"); }

private:
  void acceptLines();
  void assign();
  bool turn(std::vector<Pair> &pairs);

  Upstream bob_{Upstream::echo};
  ProxyFixture fixture_;
  matrixos::test::LoopbackPort listener_;
  std::vector<std::unique_ptr<End>> lines_; // that nobody knows yet
  std::vector<Pair> *pairs_ = nullptr;
  std::size_t others_ = 0;
};

Crowd::Crowd()
    : fixture_(
          [](auto &options) {
            options.server.loops = 1;
            options.server.timeouts.connect = 15s;
            options.server.idleUpstreams = 0; // no connection is used twice, so that each belongs to one client
          },
          false) {
  listener_.listen();
  listener_.setNonBlocking();
  fixture_.instance("alice", "running", listener_.port());
  fixture_.instance("bob", "running", bob_.port());
}

void Crowd::acceptLines() {
  for (matrixos::FileDescriptor fd = listener_.accept(); fd; fd = listener_.accept())
    lines_.push_back(std::make_unique<End>(fd.release()));
  for (auto &line : lines_) {
    line->setAppetite(1);
    line->step();
  }
}

/// Whose request a new connection carries stands in its first line.
void Crowd::assign() {
  for (auto &line : lines_) {
    const std::size_t slash = line->heard().find('/');
    const std::size_t end = slash == std::string::npos ? slash : line->heard().find(' ', slash);
    if (end == std::string::npos) continue;
    const std::string name = line->heard().substr(slash + 1, end - slash - 1);
    for (Pair &pair : *pairs_) {
      if (pair.name != name) continue;
      REQUIRE(pair.instance == nullptr);
      line->setAppetite(SIZE_MAX);
      pair.instance = std::move(line);
      break;
    }
    REQUIRE(line == nullptr);
  }
  std::erase(lines_, nullptr);
}

bool Crowd::turn(std::vector<Pair> &pairs) {
  bool done = true;
  for (Pair &pair : pairs) {
    pair.client->step();
    if (pair.instance) pair.instance->step();
    if (!pair.done() && (pair.at == 0 || pair.instance) && pair.steps[pair.at](pair)) ++pair.at;
    done = done && pair.done();
  }
  return done;
}

void Crowd::play() {
  std::vector<Pair> pairs;
  pairs.reserve(kinds().size() * kOfEach);
  pairs_ = &pairs;
  for (const Kind &kind : kinds()) {
    for (std::size_t i = 0; i < kOfEach; ++i) {
      Pair &pair = pairs.emplace_back();
      pair.name = kind.name + std::string("-") + std::to_string(i);
      pair.client = std::make_unique<End>(matrixos::test::connectTo(fixture_.port).release());
      pair.steps = kind.steps;
    }
  }
  Conn kept = fixture_.connect();
  const auto end = std::chrono::steady_clock::now() + 60s;
  for (std::size_t turns = 0; !turn(pairs); ++turns) {
    acceptLines();
    assign();
    if (turns % 20 == 0) {
      ++others_;
      REQUIRE(kept.get("/", "bob.localhost").status == 200);
      REQUIRE(fixture_.connect().get("/", "bob.localhost").status == 200);
    }
    if (std::chrono::steady_clock::now() < end) continue;
    for (const Pair &pair : pairs) {
      if (!pair.done()) FAIL_CHECK(pair.name, " stands at step ", pair.at);
    }
    break;
  }
  pairs_ = nullptr;
  kept.close();
  pairs.clear();
  CHECK(lines_.empty());
  CHECK(eventually([&] { return fixture_.proxy->connections() == 0; }));
  fixture_.proxy->collect();
}

} // namespace

TEST_CASE("slow and half-closed sides by the hundred: the others are served, and nothing is left") {
  const std::size_t pairs = kinds().size() * kOfEach;
  Crowd crowd;
  crowd.play(); // for the pools to fill up
  const std::size_t descriptors = openDescriptors();
  // What threads keep for their next malloc counts as handed out and goes up and down; what leaks only goes up.
  std::int64_t grown = INT64_MAX;
  for (int i = 0; i < 10 && grown > static_cast<std::int64_t>(pairs * 16); ++i) {
    const std::size_t before = bytesInUse();
    crowd.play();
    grown = static_cast<std::int64_t>(bytesInUse()) - static_cast<std::int64_t>(before);
  }
  MESSAGE(pairs, " slow pairs at once; meanwhile ", crowd.others() * 2, " requests of others; ", grown, " bytes stay");
  CHECK(grown <= static_cast<std::int64_t>(pairs * 16));
  CHECK(crowd.connections() == 0);
  CHECK(crowd.inFlight() == 0);
  CHECK(eventually([&] { return openDescriptors() <= descriptors; }));
}
