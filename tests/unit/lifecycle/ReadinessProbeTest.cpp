#include "support/ScriptedServer.h"
#include "support/Wait.h"

#include <matrixos/call.hpp>

#include <doctest/doctest.h>
#include <lifecycle/ReadinessProbe.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

using namespace matrixos::lifecycle;
using namespace matrixos::test;
using namespace std::chrono_literals;

namespace {

Target targetOf(const ScriptedServer &server, const std::string &scope = "bridge") {
  return {"gateway", "127.0.0.1", server.port(), scope, "e"};
}

class Waiter {
public:
  Prober::Ready ready() {
    return [this](const Target &target) {
      const std::lock_guard lock(mutex_);
      ++count_;
      target_ = target;
      changed_.notify_all();
    };
  }
  bool wait(std::chrono::milliseconds time = 20s) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return count_ != 0; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  Target target() {
    const std::lock_guard lock(mutex_);
    return target_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
  Target target_;
};

ReadinessProbe::Settings quick() {
  ReadinessProbe::Settings settings;
  settings.minTimeout = 100ms;
  settings.maxTimeout = 1s;
  return settings;
}

struct Bench {
  ReadinessProbe probe{quick()};
  Waiter waiter;
  Bench() {
    probe.run([] { return MOS_NO_DEADLINE; });
  }
  ~Bench() { probe.stop(); }
};

} // namespace

TEST_CASE("a status line is judged as soon as it can be") {
  using Progress = ProbeAttempt::Progress;
  for (const char *line : {"HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 \r\n", "HTTP/1.1 503\r\n", "HTTP/1.1 101 \r\nUpgrade",
                           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"})
    CHECK(judgeStatusLine(line) == Progress::Ready);
  for (const char *line :
       {"", "H", "HTTP/1.", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 200", "HTTP/1.1 200 OK\r"})
    CHECK(judgeStatusLine(line) == Progress::Pending);
  for (const char *line : {"x", "HTTQ", "HTTP/2 200 ", "HTTP/1.x\r\n", "HTTP/1.1x\r\n", "HTTP/1.1 0\r\n",
                           "HTTP/1.1 2x\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 500\n", "SSH-2.0-OpenSSH", "\r\n"})
    CHECK(judgeStatusLine(line) == Progress::Failed);
}

TEST_CASE("any status is ready") {
  Bench bench;
  ScriptedServer server([](const Peer &peer) {
    peer.readRequest();
    peer.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  });
  server.listen();
  bench.probe.begin(1, {targetOf(server)}, bench.waiter.ready());
  CHECK(bench.waiter.wait());
  CHECK(bench.waiter.target() == targetOf(server));
  CHECK(server.connections() == 1);
}

TEST_CASE("a port that refuses is tried until somebody listens") {
  Bench bench;
  ScriptedServer server([](const Peer &peer) {
    peer.readRequest();
    peer.say("HTTP/1.1 200 OK\r\n\r\n");
  });
  bench.probe.begin(1, {targetOf(server)}, bench.waiter.ready());
  CHECK(eventually([&] { return bench.probe.attempts() >= 4; }));
  CHECK(bench.waiter.count() == 0);
  server.listen();
  CHECK(bench.waiter.wait());
}

TEST_CASE("a proxy that accepts and closes is not ready") {
  Bench bench;
  ScriptedServer server([](const Peer &peer) {
    if (peer.number() <= 3) return; // closed at once, the request unread: a reset
    peer.readRequest();
    if (peer.number() <= 5) return; // an orderly empty answer
    peer.say("HTTP/1.1 200 OK\r\n\r\n");
  });
  server.listen();
  bench.probe.begin(1, {targetOf(server)}, bench.waiter.ready());
  CHECK(bench.waiter.wait());
  CHECK(server.connections() == 6);
}

TEST_CASE("garbage is not ready") {
  Bench bench;
  ScriptedServer server([](const Peer &peer) {
    if (peer.number() <= 3) {
      peer.say(peer.number() == 1 ? "SSH-2.0-OpenSSH_9\r\n" : std::string(100'000, '\0'));
      return;
    }
    peer.readRequest();
    peer.say("HTTP/1.1 200 OK\r\n\r\n");
  });
  server.listen();
  bench.probe.begin(1, {targetOf(server)}, bench.waiter.ready());
  CHECK(bench.waiter.wait());
  CHECK(server.connections() == 4);
}

TEST_CASE("an answer that trickles in, or with a huge header, is ready at its status") {
  Bench bench;
  ScriptedServer server([](const Peer &peer) {
    peer.readRequest();
    for (const char c : std::string("HTTP/1.1 200 OK\r\n")) {
      peer.say(std::string(1, c));
      std::this_thread::sleep_for(1ms); // the peer's pace
    }
    peer.say("X-Huge: " + std::string(4'000'000, 'x'));
  });
  server.listen();
  bench.probe.begin(1, {targetOf(server)}, bench.waiter.ready());
  CHECK(bench.waiter.wait());
}

TEST_CASE("a silent peer gets more time with each try") {
  Bench bench;
  ScriptedServer server([&](const Peer &peer) {
    peer.readRequest();
    // Slower than the first timeout of 100 ms, quicker than the last of 1 s.
    std::this_thread::sleep_for(300ms);
    peer.say("HTTP/1.1 200 OK\r\n\r\n");
  });
  server.listen();
  bench.probe.begin(1, {targetOf(server)}, bench.waiter.ready());
  CHECK(bench.waiter.wait());
  CHECK(server.connections() >= 2);
}

TEST_CASE("the second address is tried when the first is of no use") {
  Bench bench;
  ScriptedServer closed([](const Peer &) {});
  ScriptedServer server([](const Peer &peer) {
    peer.readRequest();
    peer.say("HTTP/1.1 200 OK\r\n\r\n");
  });
  server.listen();
  Target name = targetOf(server);
  name.address = "localhost"; // names are not resolved
  Target v6 = targetOf(server);
  v6.address = "::1";
  bench.probe.begin(1, {targetOf(closed), name, v6, targetOf(server, "host")}, bench.waiter.ready());
  CHECK(bench.waiter.wait());
  CHECK(bench.waiter.target().scope == "host");
}

TEST_CASE("a cancelled probe is quiet and lets go of its peer") {
  Bench bench;
  std::atomic<bool> left{false};
  ScriptedServer server([&](const Peer &peer) {
    peer.readRequest();
    peer.hang();
    left = true;
  });
  server.listen();
  bench.probe.begin(7, {targetOf(server)}, bench.waiter.ready());
  CHECK(eventually([&] { return server.connections() == 1; }));
  bench.probe.cancel(7);
  bench.probe.cancel(8);
  CHECK(eventually([&] { return left.load(); }));
  CHECK(bench.waiter.count() == 0);
}

TEST_CASE("many probes share the thread, and the tick keeps its time") {
  std::atomic<int> ticks{0};
  ReadinessProbe probe(quick());
  probe.run([&] {
    ++ticks;
    return matrixos::monotonicNanos() + 5'000'000;
  });
  ScriptedServer server([](const Peer &peer) {
    peer.readRequest();
    peer.say("HTTP/1.1 200 OK\r\n\r\n");
  });
  server.listen();
  ScriptedServer closed([](const Peer &) {});
  constexpr std::uint64_t kMany = 200;
  std::atomic<std::uint64_t> ready{0};
  for (std::uint64_t id = 1; id <= kMany; ++id) {
    probe.begin(id, {id % 2 == 0 ? targetOf(server) : targetOf(closed)}, [&](const Target &) { ++ready; });
  }
  CHECK(eventually([&] { return ready == kMany / 2; }));
  CHECK(eventually([&] { return ticks > 10; }));
  probe.stop(); // with a hundred probes under way
  CHECK(ready == kMany / 2);
}
