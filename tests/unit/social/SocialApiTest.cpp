#include "support/ScriptedHttp.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <social/SocialApi.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos::social;
using namespace matrixos::test;
using namespace std::chrono_literals;
using matrixos::Call;
using matrixos::Caller;
using matrixos::Completion;
using matrixos::Error;
using matrixos::OrchestratorClient;
using matrixos::Status;

namespace {

/// Knows the records that the test gives it, and counts what would change the world.
class Records final : public matrixos::Orchestrator {
public:
  void put(const std::string &handle, const std::string &status, const std::string &endpoints = "[]") {
    order_.push_back(handle);
    records_[handle] = R"({"id":"01J)" + handle + R"(","handle":")" + handle + R"(","clerkUserId":"owner-of-)" +
                       handle + R"(","rev":1,"status":")" + status + R"(","endpoints":)" + endpoints + "}";
  }
  int commands() const { return commands_; }

  void provision(const Call &, std::string_view, std::string_view, Completion &) override { refuse(); }
  void start(const Call &, std::string_view, Completion &) override { refuse(); }
  void stop(const Call &, std::string_view, std::uint64_t, std::string_view, Completion &) override { refuse(); }
  void destroy(const Call &, std::string_view, Completion &) override { refuse(); }
  std::string get(std::string_view handle) override {
    const auto found = records_.find(std::string(handle));
    if (found == records_.end()) throw Error(Status::NotFound, "no such instance");
    return found->second;
  }
  void list(std::string_view, const std::function<bool(std::string_view)> &item) override {
    for (const std::string &handle : order_) {
      if (!item(records_.at(handle))) return;
    }
  }
  std::uint64_t watch(std::uint64_t, const mos_instance_watcher &) override { return 0; }
  void unwatch(std::uint64_t) override {}
  void recordActivity(const mos_activity *, std::uint32_t) override { ++commands_; }

private:
  [[noreturn]] void refuse() {
    ++commands_;
    throw Error(Status::Internal, "social must not do this");
  }

  std::map<std::string, std::string> records_;
  std::vector<std::string> order_;
  std::atomic<int> commands_{0};
};

std::string at(std::uint16_t port, const std::string &name = "gateway", const std::string &address = "127.0.0.1") {
  return R"({"name":")" + name + R"(","address":")" + address + R"(","port":)" + std::to_string(port) + "}";
}

struct Bench {
  Records records;
  std::mutex mutex;
  std::map<SocialApi::FetchResult, int> results;
  SocialApi api{OrchestratorClient(records.table()), settings(),
                [this](SocialApi::FetchResult result, std::chrono::microseconds) {
                  const std::lock_guard lock(mutex);
                  ++results[result];
                }};

  static SocialApi::Settings settings() {
    SocialApi::Settings settings;
    settings.connectTimeout = 2s;
    settings.timeout = 5s;
    return settings;
  }
  int count(SocialApi::FetchResult result) {
    const std::lock_guard lock(mutex);
    return results[result];
  }
  void runs(const std::string &handle, const ScriptedHttp &gateway) {
    records.put(handle, "running", "[" + at(gateway.port()) + "]");
  }
};

/// The HTTP status an operation would be answered with.
int statusOf(const std::function<void()> &operation) {
  try {
    operation();
  } catch (const BadGateway &) {
    return 502;
  } catch (const Error &error) {
    return matrixos::httpStatus(error.status());
  }
  return 200;
}

const std::string kMessage = R"({"text":"hi","from":{"handle":"bob"}})";
const Caller kOperator = Caller::parse(R"({"kind":"operator","id":"admin","scopes":"*"})");

} // namespace

TEST_CASE("users are listed with what they are doing") {
  Bench bench;
  CHECK(bench.api.users() == "[]");
  bench.records.put("carol", "running");
  bench.records.put("bob", "sleeping");
  bench.records.put("alice", "failed");
  CHECK(bench.api.users() == R"([{"handle":"carol","status":"running","online":true},)"
                             R"({"handle":"bob","status":"sleeping","online":false},)"
                             R"({"handle":"alice","status":"failed","online":false}])");
}

TEST_CASE("profiles come from the instance's gateway, byte for byte") {
  Bench bench;
  const std::string body = R"({"name":"Alice", "n":1.50})";
  const ScriptedHttp gateway([&](const Peer &peer) { peer.answer("200 OK", "Application/JSON; charset=utf-8", body); });
  bench.runs("alice", gateway);
  CHECK(bench.api.profile("alice", false) == body);
  CHECK(bench.api.profile("alice", true) == body);
  CHECK(gateway.requests().at(0).find("GET /api/profile HTTP/1.1\r\n") == 0);
  CHECK(gateway.requests().at(1).find("GET /api/ai-profile HTTP/1.1\r\n") == 0);
  CHECK(bench.count(SocialApi::FetchResult::Ok) == 2);
  CHECK(bench.records.commands() == 0);
}

TEST_CASE("nobody is woken, the unknown are unknown") {
  Bench bench;
  for (const char *status : {"stopped", "sleeping", "provisioning", "failed", "deleting"}) {
    bench.records.put(std::string("user-") + status, status);
    CHECK(statusOf([&] { bench.api.profile(std::string("user-") + status, false); }) == 503);
    CHECK(statusOf([&] { bench.api.send(std::string("user-") + status, kMessage, kOperator); }) == 503);
  }
  CHECK(statusOf([&] { bench.api.profile("nobody", true); }) == 404);
  CHECK(statusOf([&] { bench.api.profile("../etc", true); }) == 404);
  CHECK(statusOf([&] { bench.api.send("nobody", kMessage, kOperator); }) == 404);
  CHECK(statusOf([&] { bench.api.send("nobody", "{}", kOperator); }) == 400);
  CHECK(bench.records.commands() == 0);
}

TEST_CASE("an answer that cannot be passed on is a bad gateway") {
  Bench bench;
  ScriptedHttp::Serve serve;
  SUBCASE("redirect") {
    serve = [](const Peer &peer) {
      peer.say("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Type: application/json\r\n"
               "Content-Length: 2\r\n\r\n{}");
    };
  }
  SUBCASE("failure") {
    serve = [](const Peer &peer) { peer.answer("500 Oops", "application/json", "{}"); };
  }
  SUBCASE("not found") {
    serve = [](const Peer &peer) { peer.answer("404 Not Found", "application/json", "{}"); };
  }
  SUBCASE("another type") {
    serve = [](const Peer &peer) { peer.answer("200 OK", "text/html", "{}"); };
  }
  SUBCASE("no type") {
    serve = [](const Peer &peer) { peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"); };
  }
  SUBCASE("not JSON") {
    serve = [](const Peer &peer) { peer.answer("200 OK", "application/json", "<script>"); };
  }
  SUBCASE("more than JSON") {
    serve = [](const Peer &peer) { peer.answer("200 OK", "application/json", "{}<script>"); };
  }
  SUBCASE("too deep") {
    serve = [](const Peer &peer) { peer.answer("200 OK", "application/json", std::string(200'000, '[')); };
  }
  SUBCASE("huge") {
    serve = [](const Peer &peer) {
      peer.answer("200 OK", "application/json", "[\"" + std::string(300'000, 'x') + "\"]");
    };
  }
  SUBCASE("huge without a length") {
    serve = [](const Peer &peer) {
      peer.say("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[" + std::string(300'000, ' ') + "]");
    };
  }
  SUBCASE("truncated") {
    serve = [](const Peer &peer) {
      peer.say("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{}");
    };
  }
  SUBCASE("truncated chunks") {
    serve = [](const Peer &peer) {
      peer.say("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n");
    };
  }
  SUBCASE("reset") {
    serve = [](const Peer &peer) { peer.reset(); };
  }
  SUBCASE("nothing") {
    serve = [](const Peer &) {};
  }
  SUBCASE("no HTTP") {
    serve = [](const Peer &peer) { peer.say("220 mail.example ESMTP\r\n"); };
  }
  const ScriptedHttp gateway(serve);
  bench.runs("alice", gateway);
  CHECK(statusOf([&] { bench.api.profile("alice", false); }) == 502);
  CHECK(statusOf([&] { bench.api.send("alice", kMessage, kOperator); }) == 502);
  CHECK(gateway.requests().size() == 2); // nothing is asked twice
  CHECK(bench.count(SocialApi::FetchResult::BadAnswer) == 2);
  CHECK(bench.api.inFlight() == 0);
}

TEST_CASE("a slow instance is given up") {
  Bench bench;
  auto settings = Bench::settings();
  settings.timeout = 150ms;
  bench.api.configure(settings);
  ScriptedHttp::Serve serve;
  SUBCASE("silent") {
    serve = [](const Peer &peer) { peer.hang(); };
  }
  SUBCASE("dripping") {
    serve = [](const Peer &peer) {
      peer.say("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[");
      while (!peer.stopping()) {
        peer.say(" ");
        std::this_thread::sleep_for(5ms); // the peer's pace
      }
    };
  }
  const ScriptedHttp gateway(serve);
  bench.runs("alice", gateway);
  CHECK(statusOf([&] { bench.api.profile("alice", false); }) == 502);
}

TEST_CASE("who cannot be reached is a bad gateway") {
  Bench bench;
  const LoopbackPort closed;
  SUBCASE("nobody listens") {
    bench.records.put("alice", "running", "[" + at(closed.port()) + "]");
  }
  SUBCASE("no endpoint") {
    bench.records.put("alice", "running");
  }
  SUBCASE("another endpoint") {
    bench.records.put("alice", "running", "[" + at(closed.port(), "shell") + "]");
  }
  SUBCASE("a name instead of an address") {
    bench.records.put("alice", "running", "[" + at(closed.port(), "gateway", "localhost") + "]");
  }
  SUBCASE("an address with more in it") {
    bench.records.put("alice", "running", "[" + at(closed.port(), "gateway", "127.0.0.1:1/@127.0.0.1") + "]");
  }
  CHECK(statusOf([&] { bench.api.profile("alice", false); }) == 502);
  CHECK(statusOf([&] { bench.api.send("alice", kMessage, kOperator); }) == 502);
  CHECK(bench.count(SocialApi::FetchResult::Unreachable) == 2);
}

TEST_CASE("the next address is asked when the best cannot be reached") {
  Bench bench;
  const LoopbackPort closed;
  const ScriptedHttp gateway([](const Peer &peer) { peer.answer("200 OK", "application/json", R"({"got":1})"); });
  bench.records.put("alice", "running", "[" + at(closed.port()) + "," + at(gateway.port()) + "]");
  CHECK(bench.api.send("alice", kMessage, kOperator) == R"({"got":1})");
}

TEST_CASE("messages go to the instance") {
  Bench bench;
  const ScriptedHttp gateway([](const Peer &peer) { peer.say("HTTP/1.1 204 No Content\r\n\r\n"); });
  bench.runs("alice", gateway);
  CHECK(bench.api.send("alice", R"({"text":"hi","extra":1,"from":{"handle":"bob"}})", kOperator) == R"({"ok":true})");
  const std::string request = gateway.requests().at(0);
  CHECK(request.find("POST /api/message HTTP/1.1\r\n") == 0);
  CHECK(request.find("\r\n\r\n" + kMessage) != std::string::npos);
}

TEST_CASE("nobody sends in another's name") {
  Bench bench;
  const ScriptedHttp gateway([](const Peer &peer) { peer.answer("200 OK", "application/json", "{}"); });
  bench.runs("alice", gateway);
  bench.records.put("bob", "stopped");
  const auto status = [&](const char *caller) {
    return statusOf([&] { bench.api.send("alice", kMessage, Caller::parse(caller)); });
  };
  CHECK(status(R"({"kind":"instance","id":"instance:bob"})") == 200);
  CHECK(status(R"({"kind":"user","id":"user:owner-of-bob"})") == 200);
  CHECK(gateway.requests().size() == 2);
  for (const char *caller : {R"({"kind":"instance","id":"instance:"})", R"({"kind":"instance"})",
                             R"({"kind":"user","id":"user:other"})", R"({"kind":"user","id":"user:"})",
                             R"({"kind":"user","id":"user:other","shares":{"bob":"manage"}})", R"({"kind":"public"})"})
    CHECK(status(caller) == 403);
  CHECK(gateway.requests().size() == 2);
}

TEST_CASE("an instance sends as itself, whatever it says") {
  Bench bench;
  const ScriptedHttp gateway([](const Peer &peer) { peer.answer("200 OK", "application/json", "{}"); });
  bench.runs("alice", gateway);
  const Caller carol = Caller::parse(R"({"kind":"instance","id":"instance:carol"})");
  const std::string said = R"({"text":"hi","from":{"handle":"carol")";
  bench.api.send("alice", kMessage, carol);
  bench.api.send("alice", R"({"text":"hi"})", carol);
  bench.api.send("alice", R"({"text":"hi","from":{"handle":7,"displayName":"Bob"}})", carol);
  CHECK(gateway.requests().at(0).find("\r\n\r\n" + said + "}}") != std::string::npos);
  CHECK(gateway.requests().at(1).find("\r\n\r\n" + said + "}}") != std::string::npos);
  CHECK(gateway.requests().at(2).find("\r\n\r\n" + said + R"(,"displayName":"Bob"}})") != std::string::npos);
  CHECK(statusOf([&] { bench.api.send("alice", R"({"text":"hi"})", kOperator); }) == 400);
}

TEST_CASE("messages go through the proxy when there is one, profiles do not") {
  Bench bench;
  const ScriptedHttp gateway([](const Peer &peer) { peer.answer("200 OK", "application/json", R"({"me":1})"); });
  const ScriptedHttp proxy(
      [](const Peer &peer) { peer.answer("202 Accepted", "application/json", R"({"queued":1})"); });
  bench.runs("alice", gateway);
  bench.records.put("bob", "stopped");
  auto settings = Bench::settings();
  settings.proxyUrl = proxy.url() + "/";
  settings.secret = "the-secret";
  bench.api.configure(settings);
  CHECK(bench.api.send("alice", kMessage, kOperator) == R"({"queued":1})");
  CHECK(proxy.requests().at(0).find("POST /send/alice HTTP/1.1\r\n") == 0);
  CHECK(proxy.requests().at(0).find("Authorization: Bearer the-secret\r\n") != std::string::npos);
  CHECK(gateway.requests().empty());
  CHECK(bench.api.profile("alice", false) == R"({"me":1})");
  CHECK(statusOf([&] { bench.api.send("bob", kMessage, kOperator); }) == 503);
  settings.proxyUrl = "https://proxy";
  CHECK_THROWS_AS(bench.api.configure(settings), Error);
  CHECK(bench.api.send("alice", kMessage, kOperator) == R"({"queued":1})");
}

TEST_CASE("the exchanges at a time are bounded, in all and per instance") {
  Bench bench;
  auto settings = Bench::settings();
  settings.maxInFlight = 3;
  settings.maxPerInstance = 2;
  settings.timeout = 30s;
  bench.api.configure(settings);
  std::atomic<bool> open{false};
  const ScriptedHttp slow([&](const Peer &peer) {
    while (!open && !peer.stopping())
      std::this_thread::sleep_for(2ms);
    peer.answer("200 OK", "application/json", "{}");
  });
  const ScriptedHttp quick([&](const Peer &peer) { peer.answer("200 OK", "application/json", "{}"); });
  bench.runs("alice", slow);
  bench.runs("bob", quick);
  bench.runs("carol", slow);
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  const auto ask = [&](const std::string &handle) {
    clients.emplace_back([&bench, &good, handle] {
      if (statusOf([&] { bench.api.profile(handle, false); }) == 200) ++good;
    });
  };
  const auto waitFor = [&](std::size_t count) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (bench.api.inFlight() != count && std::chrono::steady_clock::now() < limit)
      std::this_thread::sleep_for(2ms);
    return bench.api.inFlight() == count;
  };
  ask("alice");
  ask("alice");
  CHECK(waitFor(2));
  CHECK(statusOf([&] { bench.api.profile("alice", false); }) == 503);
  CHECK(statusOf([&] { bench.api.profile("bob", false); }) == 200); // alice cannot take all
  ask("carol");
  CHECK(waitFor(3));
  try {
    bench.api.profile("bob", false);
    FAIL("it was let in");
  } catch (const Error &error) {
    CHECK(error.status() == Status::Unavailable);
    CHECK(error.retryAfterMs() > 0);
  }
  open = true;
  for (std::thread &client : clients)
    client.join();
  CHECK(good == 3);
  CHECK(bench.api.inFlight() == 0);
}
