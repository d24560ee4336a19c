// A thousand clients at the door of one instance that sleeps.
#include "EchoInstance.h"
#include "EdgePlatform.h"
#include "Regulars.h"
#include "integration/runtime-simulated/SimulatedPlatform.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace matrixos::test;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kThousand = 1000;
constexpr std::size_t kDescriptors = 8000; // of the test and of the daemon

struct Visitor {
  CrowdClient *client = nullptr;
  std::string handle;
  std::string nonce;
  bool webSocket = false;
  Response answer{};
  Clock::time_point comesAgain{};

  std::string request() const { return webSocket ? upgradeRequest(handle, nonce) : getRequest(handle, nonce); }
  bool waits() const { return answer.status == 0; }
  /// The answer is the one to this very request.
  bool served() const {
    if (webSocket) return answer.status == 101 && answer.headers.at("x-nonce") == nonce;
    return answer.status == 200 && answer.body == nonce + " for " + handle + ".localhost";
  }
};
using Visitors = std::vector<Visitor>;

/// Every third comes for a WebSocket.
Visitors visit(Crowd &crowd, const std::string &handle, std::size_t count, const std::string &prefix = "n") {
  Visitors all;
  for (std::size_t i = 0; i < count; ++i) {
    Visitor &one = all.emplace_back(Visitor{nullptr, handle, prefix + std::to_string(i), i % 3 == 0});
    one.client = &crowd.add(one.request());
  }
  return all;
}

/// Takes what has come; true when at least `count` have been answered.
bool answered(Visitors &visitors, std::size_t count) {
  std::size_t done = 0;
  for (Visitor &one : visitors) {
    if (one.waits()) {
      if (auto answer = one.client->takeResponse()) one.answer = std::move(*answer);
    }
    if (!one.waits() || one.client->ended()) ++done;
  }
  return done >= count;
}

std::size_t countStatus(const Visitors &visitors, int status) {
  return static_cast<std::size_t>(
      std::count_if(visitors.begin(), visitors.end(), [&](const Visitor &one) { return one.answer.status == status; }));
}

bool allServed(const Visitors &visitors) {
  for (const Visitor &one : visitors) {
    if (one.served()) continue;
    MESSAGE(one.nonce << " got " << one.answer.status << " " << one.answer.body);
    return false;
  }
  return true;
}

/// A frame goes each way over every WebSocket.
bool webSocketsWork(Crowd &crowd, Visitors &visitors) {
  std::size_t open = 0;
  std::size_t echoed = 0;
  for (Visitor &one : visitors) {
    if (one.answer.status != 101) continue;
    ++open;
    crowd.send(*one.client, textFrame("frame of " + one.nonce));
  }
  return open != 0 && crowd.until([&] {
    for (Visitor &one : visitors) {
      if (one.answer.status == 101 && one.client->takeFrame() == "frame of " + one.nonce) ++echoed;
    }
    return echoed == open;
  });
}

/// Those who were refused come again when they were told to, until nobody is refused.
bool comeAgain(Crowd &crowd, Visitors &visitors) {
  return crowd.until([&] {
    answered(visitors, 0);
    bool all = true;
    for (Visitor &one : visitors) {
      if (one.answer.status == 503) {
        const int seconds = std::stoi(one.answer.headers.at("retry-after"));
        one.comesAgain = Clock::now() + std::chrono::seconds{seconds};
        one.answer = {};
      }
      if (one.comesAgain != Clock::time_point{} && Clock::now() >= one.comesAgain) {
        one.comesAgain = {};
        crowd.send(*one.client, one.request());
      }
      all = all && !one.waits();
    }
    return all;
  });
}

bool waiting(Crowd &crowd, const DaemonProcess &daemon, double count) {
  return crowd.until([&] { return metric(daemon, "matrixos_proxy_waiting_requests") == count; });
}

/// As often as its orchestrator was asked to start it.
std::size_t startsOf(const DaemonProcess &daemon, const std::string &handle) {
  const std::string log = daemon.log();
  const std::string line = " start handle=" + handle + "\n";
  std::size_t count = 0;
  for (std::size_t at = log.find(line); at != std::string::npos; at = log.find(line, at + 1))
    ++count;
  return count;
}

std::string port(const EchoInstance &instance) {
  return std::to_string(instance.port());
}

/// One request after the other, and the shortest queue that servers in use ask for.
class SerialInstance {
public:
  SerialInstance() {
    socket_.listen(5);
    thread_ = std::thread([this] { run(); });
  }
  ~SerialInstance() {
    ::shutdown(socket_.fd(), SHUT_RDWR);
    thread_.join();
  }
  std::uint16_t port() const { return socket_.port(); }

private:
  void run() const {
    for (matrixos::FileDescriptor client = socket_.accept(); client; client = socket_.accept()) {
      char block[4096];
      const ssize_t got = ::recv(client.get(), block, sizeof block, 0);
      std::this_thread::sleep_for(std::chrono::milliseconds{5}); // its work
      if (got > 0) sendAll(client.get(), "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }
  }

  LoopbackPort socket_;
  std::thread thread_;
};

/// The whole thousand has a place.
const DaemonProcess::Values kRoom{
    {"proxy.wake_waiters", "1000"}, {"proxy.instance_requests", "1000"}, {"proxy.loops", "2"}};

DaemonProcess::Values with(DaemonProcess::Values values, const DaemonProcess::Values &more) {
  values.insert(more.begin(), more.end());
  return values;
}

} // namespace

TEST_CASE("a thousand wait for one sleeper: it is started once, and each gets its own answer") {
  REQUIRE(raiseDescriptorLimit(kDescriptors));
  EchoInstance instance(false);
  EdgePlatform platform(with(kRoom, {{"fixed-instances.sleeping", "alice:" + port(instance)}}));
  Crowd crowd(platform.daemon.proxyPort());
  Visitors visitors = visit(crowd, "alice", kThousand);
  REQUIRE(waiting(crowd, platform.daemon, kThousand));
  CHECK(answered(visitors, 0));
  CHECK(countStatus(visitors, 0) == kThousand); // nobody was answered before the instance
  instance.open();
  REQUIRE(crowd.until([&] { return answered(visitors, kThousand); }));
  CHECK(allServed(visitors));
  CHECK(webSocketsWork(crowd, visitors));
  CHECK(startsOf(platform.daemon, "alice") == 1);
  CHECK(instance.answered() == kThousand);
  CHECK(waiting(crowd, platform.daemon, 0));
  CHECK(metric(platform.daemon, "matrixos_lifecycle_wakes_total{result=\"ok\"}") == 1);
}

TEST_CASE(
    "a thousand wait for an instance of the orchestrator: its engine starts it once; a start that fails is told") {
  REQUIRE(raiseDescriptorLimit(kDescriptors));
  EchoInstance instance;
  SimulatedPlatform platform(with(kRoom, {{"runtime-simulated.backend", "127.0.0.1:" + port(instance)}}));
  REQUIRE(platform.provision("alice").status == 201);
  REQUIRE(platform.daemon.api("POST", "/containers/alice/stop").status == 200);
  Crowd crowd(platform.daemon.proxyPort());
  const auto starts = [&](const std::string &outcome) {
    return metric(platform.daemon, "matrixos_simulated_calls_total{call=\"start\",outcome=\"" + outcome + "\"}");
  };

  platform.faults(R"({"call":"start","effect":"hang_forever","times":1})");
  Visitors refused = visit(crowd, "alice", kThousand, "refused");
  REQUIRE(waiting(crowd, platform.daemon, kThousand));
  CHECK(platform.daemon.api("POST", "/simulated/release").status == 200); // fails
  REQUIRE(crowd.until([&] { return answered(refused, kThousand); }));
  CHECK(countStatus(refused, 503) == kThousand);
  for (Visitor &one : refused) {
    CHECK(one.answer.headers["content-type"] == "application/problem+json");
    CHECK(one.answer.headers["retry-after"] == "5");
    CHECK(member(one.answer.body, "error") == "the instance could not be started (RELEASED); try again in 5 seconds");
  }
  CHECK(starts("ok") == 1); // of its provision
  CHECK(starts("failed") == 1);

  // Who comes next has it tried again.
  instance.shut();
  Visitors visitors = visit(crowd, "alice", kThousand);
  REQUIRE(waiting(crowd, platform.daemon, kThousand));
  instance.open();
  REQUIRE(crowd.until([&] { return answered(visitors, kThousand); }));
  CHECK(allServed(visitors));
  CHECK(webSocketsWork(crowd, visitors));
  CHECK(starts("ok") == 2);
  CHECK(starts("failed") == 1);
  CHECK(waiting(crowd, platform.daemon, 0));
}

TEST_CASE("with the defaults 64 wait, the others are told when to come again, and in the end all are answered") {
  REQUIRE(raiseDescriptorLimit(kDescriptors));
  EchoInstance instance(false);
  EdgePlatform platform({{"fixed-instances.sleeping", "alice:" + port(instance)}});
  Crowd crowd(platform.daemon.proxyPort());
  Visitors visitors = visit(crowd, "alice", kThousand);
  REQUIRE(crowd.until([&] { return answered(visitors, kThousand - 64); }));
  REQUIRE(waiting(crowd, platform.daemon, 64));
  CHECK(countStatus(visitors, 503) == kThousand - 64);
  CHECK(countStatus(visitors, 0) == 64);
  for (Visitor &one : visitors) {
    if (one.waits()) continue;
    CHECK(std::stoi(one.answer.headers["retry-after"]) > 0);
    CHECK(one.answer.headers["content-type"] == "application/problem+json");
    CHECK(member(one.answer.body, "error").find("try again in ") != std::string::npos);
  }
  instance.open();
  REQUIRE(comeAgain(crowd, visitors));
  CHECK(allServed(visitors));
  CHECK(webSocketsWork(crowd, visitors));
  CHECK(startsOf(platform.daemon, "alice") == 1);
  CHECK(waiting(crowd, platform.daemon, 0));
}

TEST_CASE("a client that leaves frees its place, and when all have left nothing stays behind") {
  REQUIRE(raiseDescriptorLimit(kDescriptors));
  EchoInstance instance(false);
  EdgePlatform platform({{"fixed-instances.sleeping", "alice:" + port(instance)}});
  Crowd crowd(platform.daemon.proxyPort());
  // As long as one waits until it answers, so does whoever comes.
  CrowdClient &first = crowd.add(getRequest("alice", "first"));
  std::size_t withFirst = 0; // once what the daemon opens only when it needs it is open
  for (int round = 0; round < 3; ++round) {
    Visitors visitors = visit(crowd, "alice", 63);
    REQUIRE(waiting(crowd, platform.daemon, 64));
    for (Visitor &one : visitors)
      crowd.leave(*one.client);
    REQUIRE(waiting(crowd, platform.daemon, 1));
    if (round == 0) withFirst = descriptors(platform.daemon);
  }
  // Nor is a body in the way of which the proxy keeps only the beginning; the kernel has the rest.
  const std::string body(60'000, 'b');
  std::vector<CrowdClient *> senders;
  for (int i = 0; i < 63; ++i) {
    senders.push_back(&crowd.add("POST / HTTP/1.1\r\nHost: alice.localhost\r\nContent-Length: " +
                                 std::to_string(body.size()) + "\r\n\r\n" + body));
  }
  REQUIRE(waiting(crowd, platform.daemon, 64));
  for (CrowdClient *one : senders)
    crowd.leave(*one);
  REQUIRE(waiting(crowd, platform.daemon, 1));
  crowd.leave(first);
  REQUIRE(waiting(crowd, platform.daemon, 0));

  CHECK(crowd.until([&] { return instance.connections() == 0; })); // nobody asks whether it is ready any more
  CHECK(crowd.until([&] { return descriptors(platform.daemon) < withFirst; }));
  CHECK(metric(platform.daemon, "matrixos_proxy_connections") == 0);
  CHECK(startsOf(platform.daemon, "alice") == 1);
  instance.open();
  Visitors late = visit(crowd, "alice", 64);
  REQUIRE(crowd.until([&] { return answered(late, 64); }));
  CHECK(allServed(late));
}

TEST_CASE("an instance that serves one at a time and queues five is not overrun by those who waited for it") {
  SerialInstance instance;
  EdgePlatform platform({{"fixed-instances.sleeping", "alice:" + std::to_string(instance.port())}});
  REQUIRE(platform.daemon.api("PUT", "/fixed-instances/alice?status=held").status / 100 == 2);
  Crowd crowd(platform.daemon.proxyPort());
  std::vector<CrowdClient *> clients;
  for (int i = 0; i < 64; ++i)
    clients.push_back(&crowd.add(getRequest("alice", std::to_string(i))));
  REQUIRE(waiting(crowd, platform.daemon, 64));
  REQUIRE(platform.daemon.api("PUT", "/fixed-instances/alice?status=running").status / 100 == 2);
  std::size_t served = 0;
  std::size_t others = 0;
  CHECK(crowd.until([&] {
    for (CrowdClient *one : clients) {
      const auto answer = one->takeResponse();
      if (answer) ++(answer->status == 200 ? served : others);
    }
    return served + others == clients.size();
  }));
  CHECK(served == clients.size());
}

TEST_CASE("places are bounded in all, each refusal says by what, and a browser gets a page") {
  REQUIRE(raiseDescriptorLimit(kDescriptors));
  EchoInstance instance(false);
  EdgePlatform platform({{"fixed-instances.sleeping",
                          "alice:" + port(instance) + ", bob:" + port(instance) + ", carol:" + port(instance)},
                         {"proxy.wake_waiters", "4"},
                         {"proxy.wake_waiters_total", "10"}});
  Crowd crowd(platform.daemon.proxyPort());
  Visitors visitors;
  for (const char *handle : {"alice", "bob", "carol"}) {
    const std::size_t room = handle == std::string("carol") ? 2 : 4;
    Visitors all = visit(crowd, handle, 9);
    REQUIRE(crowd.until([&] { return answered(all, 9 - room); }));
    CHECK(countStatus(all, 503) == 9 - room);
    const std::string by =
        room == 4 ? "too many requests wait for this instance" : "too many requests wait for instances";
    for (Visitor &one : all) {
      if (!one.waits()) CHECK(member(one.answer.body, "error").find(by) == 0);
    }
    visitors.insert(visitors.end(), all.begin(), all.end());
  }
  CHECK(waiting(crowd, platform.daemon, 10));

  CrowdClient &browser = crowd.add(getRequest("carol", "b", "/", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n"));
  std::optional<Response> page;
  REQUIRE(crowd.until([&] { return (page = browser.takeResponse()).has_value(); }));
  CHECK(page->status == 503);
  CHECK(page->headers["content-type"] == "text/html; charset=utf-8");
  CHECK(page->body.find("http-equiv=\"refresh\" content=\"" + page->headers["retry-after"] + "\"") !=
        std::string::npos);

  instance.open();
  REQUIRE(comeAgain(crowd, visitors));
  CHECK(allServed(visitors));
  for (const char *handle : {"alice", "bob", "carol"})
    CHECK(startsOf(platform.daemon, handle) == 1);
}

TEST_CASE("a crowd at a sleeper's door does not reach the others") {
  REQUIRE(raiseDescriptorLimit(kDescriptors));
  EchoInstance sleeper(false);
  EchoInstance other;
  EdgePlatform platform(
      {{"fixed-instances.sleeping", "alice:" + port(sleeper)}, {"fixed-instances.running", "bob:" + port(other)}});
  Crowd crowd(platform.daemon.proxyPort());
  Visitors flood = visit(crowd, "alice", kThousand);
  Regulars regulars(crowd, "bob", 20);
  // While the door is being stormed, while 64 wait, and while they are let in.
  CHECK(crowd.until([&] {
    regulars.goOn();
    return answered(flood, kThousand - 64) && regulars.eachGot(50);
  }));
  CHECK(regulars.areServed(20));
  sleeper.open();
  CHECK(crowd.until([&] {
    regulars.goOn();
    return answered(flood, kThousand) && regulars.eachGot(100);
  }));
  CHECK(regulars.failures() == 0);
}
