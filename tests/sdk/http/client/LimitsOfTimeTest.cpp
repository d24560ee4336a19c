/// Deadlines, cancellation and shutdown in every phase of an exchange.
#include "Exchanges.h"

#include <dlfcn.h>
#include <netdb.h>
#include <support/Wait.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

using namespace matrixos;
using namespace matrixos::http;
using namespace matrixos::http::test;
using namespace std::chrono_literals;
using matrixos::test::eventually;

namespace {

constexpr const char *kStuckName = "stuck.test";

/// The lookups of kStuckName.
struct Lookups {
  std::mutex mutex;
  std::condition_variable changed;
  bool stuck = false;
  int waiting = 0;
};

Lookups &lookups() {
  static auto *const kept = new Lookups; // outlives every thread that libcurl has left in it
  return *kept;
}

int waitingLookups() {
  const std::lock_guard lock(lookups().mutex);
  return lookups().waiting;
}

/// As long as it lives, kStuckName is looked up.
class StuckName {
public:
  StuckName() { set(true); }
  StuckName(const StuckName &) = delete;
  StuckName &operator=(const StuckName &) = delete;
  ~StuckName() {
    set(false);
    eventually([] { return waitingLookups() == 0; });
  }

private:
  static void set(bool stuck) {
    {
      const std::lock_guard lock(lookups().mutex);
      lookups().stuck = stuck;
    }
    lookups().changed.notify_all();
  }
};

} // namespace

/// Stands before libc's function for the whole program.
extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                                  const addrinfo *hints, addrinfo **result) {
  using Real = int (*)(const char *, const char *, const addrinfo *, addrinfo **);
  static const auto real = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node == nullptr || std::strcmp(node, kStuckName) != 0) return real(node, service, hints, result);
  std::unique_lock lock(lookups().mutex);
  ++lookups().waiting;
  lookups().changed.wait(lock, [] { return !lookups().stuck; });
  --lookups().waiting;
  return EAI_AGAIN;
}

namespace {

/// A TCP socket that listens and accepts nobody.
class Deaf {
public:
  explicit Deaf(int backlog) { socket_.listen(backlog); }

  /// Takes all places of the backlog, so that connections stay half open.
  void fill() {
    for (auto &one : crowd_)
      one = matrixos::test::beginConnection(socket_.port());
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(socket_.port()); }

private:
  matrixos::test::LoopbackPort socket_;
  std::array<FileDescriptor, 4> crowd_;
};

/// An exchange that gets stuck in one phase.
struct Phase {
  std::string name;
  std::string url;
  ClientRequest request;
  bool sent = true;                                    ///< the request is on its way when it sticks
  std::function<bool()> reached = [] { return true; }; ///< the phase has begun, as far as it can be known
  std::shared_ptr<void> server;
};

Phase served(std::string name, std::string said) {
  auto reached = std::make_shared<std::atomic<bool>>(false);
  auto gateway = std::make_shared<Gateway>([reached, said = std::move(said)](const Peer &peer) {
    peer.say(said);
    *reached = true;
    peer.hang();
  });
  return {std::move(name), gateway->url(), get(), true, [reached] { return reached->load(); }, gateway};
}

std::vector<Phase> phases() {
  std::vector<Phase> all;
  all.push_back({"lookup", std::string("http://") + kStuckName, get(), false, [] { return waitingLookups() > 0; },
                 std::make_shared<StuckName>()});
  auto full = std::make_shared<Deaf>(0);
  full->fill();
  all.push_back({"connect", full->url(), get(), false, [] { return true; }, full});
  auto deaf = std::make_shared<Deaf>(8);
  all.push_back({"handshake", "https" + deaf->url().substr(4), get(), false, [] { return true; }, deaf});
  all.push_back({"sending", deaf->url(), post(std::string(32U << 20U, 'x')), true, [] { return true; }, deaf});
  all.push_back(served("waiting", ""));
  all.push_back(served("status line", "HTTP/1.1 2"));
  all.push_back(served("header", "HTTP/1.1 200 OK\r\nContent-"));
  all.push_back(served("after an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"));
  all.push_back(served("body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"));
  all.push_back(served("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
  for (Phase &phase : all) {
    phase.request.timeout = 0ms;
    phase.request.connectTimeout = 1h;
  }
  return all;
}

std::optional<ClientError> outcome(HttpClient &client, const Call &call, const Phase &phase) {
  return failureOf([&] { client.send(call, BaseUrl::parse(phase.url), phase.request); });
}

/// Runs each phase, does `interrupt` from another thread once it is reached, and checks why it ended.
void interrupted(Cause expected, const std::function<void(HttpClient &, CallScope &)> &interrupt, bool descriptor) {
  for (const Phase &phase : phases()) {
    CAPTURE(phase.name);
    HttpClient client({2, {}});
    CallScope scope(std::chrono::milliseconds::max());
    mos_call call = *scope.abi();
    if (!descriptor) call.cancel_fd = -1;
    std::thread other([&] {
      eventually(phase.reached);
      interrupt(client, scope);
    });
    const auto error = outcome(client, Call(&call), phase);
    other.join();
    REQUIRE(error);
    CHECK(error->cause() == expected);
  }
}

} // namespace

TEST_CASE("the request's own time holds in every phase") {
  for (Phase &phase : phases()) {
    CAPTURE(phase.name);
    HttpClient client;
    phase.request.timeout = 50ms;
    const auto error = outcome(client, Call(nullptr), phase);
    REQUIRE(error);
    CHECK(error->cause() == Cause::Timeout);
    CHECK(error->status() == Status::DeadlineExceeded);
  }
}

TEST_CASE("the time to connect holds until the request is sent, and no longer") {
  for (Phase &phase : phases()) {
    CAPTURE(phase.name);
    HttpClient client;
    phase.request.connectTimeout = phase.sent ? 20s : 50ms;
    phase.request.timeout = phase.sent ? 50ms : 0ms;
    const auto error = outcome(client, Call(nullptr), phase);
    REQUIRE(error);
    CHECK(error->cause() == (phase.sent ? Cause::Timeout : Cause::ConnectTimeout));
    CHECK(error->sent() == phase.sent);
    CHECK(error->status() == Status::DeadlineExceeded);
  }
}

TEST_CASE("the call's deadline holds in every phase") {
  for (const Phase &phase : phases()) {
    CAPTURE(phase.name);
    HttpClient client;
    const CallScope scope(50ms);
    const auto error = outcome(client, Call(scope.abi()), phase);
    REQUIRE(error);
    CHECK(error->cause() == Cause::Deadline);
  }
}

TEST_CASE("silence is limited while an answer comes") {
  for (Phase &phase : phases()) {
    CAPTURE(phase.name);
    HttpClient client;
    phase.request.maxSilence = 50ms;
    const auto error = outcome(client, Call(nullptr), phase);
    REQUIRE(error);
    CHECK(error->cause() == Cause::Silent);
  }
  const Gateway gateway([](const Peer &peer) {
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    peer.hang();
  });
  ClientRequest request = get();
  request.maxSilence = 1s; // enough for the first byte on a busy machine
  std::string got;
  HttpClient client;
  const auto error = failureOf([&] {
    client.stream(Call(nullptr), urlOf(gateway), request, [&](std::string_view bytes) {
      got += bytes;
      return true;
    });
  });
  CHECK(got == "a");
  REQUIRE(error);
  CHECK(error->cause() == Cause::Silent);
}

TEST_CASE("a slow receiver's time is not the server's silence") {
  const Gateway gateway([](const Peer &peer) { peer.answer("200 OK", "text/plain", std::string(200'000, 'x')); });
  ClientRequest request = get();
  request.maxSilence = 300ms;
  std::size_t got = 0;
  const auto take = [&](std::string_view bytes) {
    if (got == 0) std::this_thread::sleep_for(2 * request.maxSilence); // the receiver's pace
    got += bytes.size();
    return true;
  };
  CHECK(HttpClient().stream(Call(nullptr), urlOf(gateway), request, take).status == 200);
  CHECK(got == 200'000);
}

TEST_CASE("another thread cancels in every phase") {
  SUBCASE("by the descriptor") {
    interrupted(
        Cause::Cancelled, [](HttpClient &, CallScope &scope) { scope.cancel(); }, true);
  }
  SUBCASE("without a descriptor") {
    interrupted(
        Cause::Cancelled, [](HttpClient &, CallScope &scope) { scope.cancel(); }, false);
  }
  SUBCASE("by shutdown") {
    interrupted(
        Cause::Stopping, [](HttpClient &client, CallScope &) { client.shutdown(); }, true);
  }
}

TEST_CASE("a cut exchange leaves nothing behind for the next one") {
  std::atomic<int> turn{0};
  std::atomic<bool> began{false};
  const Gateway gateway([&](const Peer &peer) {
    if (++turn == 1) {
      peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nol");
      began = true;
      return peer.hang();
    }
    peer.answer("200 OK", "text/plain", "new");
  });
  HttpClient client({2, {}});
  CallScope scope(std::chrono::milliseconds::max());
  std::thread canceller([&] {
    eventually([&] { return began.load(); });
    scope.cancel();
  });
  CHECK(failureOf([&] { client.send(Call(scope.abi()), urlOf(gateway), get()); }));
  canceller.join();
  CHECK(client.send(Call(nullptr), urlOf(gateway), get()).body == "new");
}

TEST_CASE("a server that never pauses does not outrun a cancellation") {
  const Gateway gateway([](const Peer &peer) {
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (!peer.stopping())
      peer.say("400\r\n" + std::string(0x400, 'x') + "\r\n");
  });
  CallScope scope(std::chrono::milliseconds::max());
  HttpClient client;
  ClientRequest request = get();
  request.timeout = 0ms;
  std::size_t got = 0;
  const auto error = failureOf([&] {
    client.stream(Call(scope.abi()), urlOf(gateway), request, [&](std::string_view bytes) {
      got += bytes.size();
      if (got > 1'000'000) scope.cancel();
      return got < 1'000'000'000;
    });
  });
  REQUIRE(error);
  CHECK(error->cause() == Cause::Cancelled);
}

TEST_CASE("a call that is over reaches nobody") {
  const Gateway gateway([](const Peer &peer) { peer.answer("200 OK", "text/plain", "x"); });
  HttpClient client;
  CallScope cancelled(20s);
  cancelled.cancel();
  const CallScope late(-5ms);
  for (const mos_call *call : {cancelled.abi(), late.abi()}) {
    const auto error = failureOf([&] { client.send(Call(call), urlOf(gateway), get()); });
    REQUIRE(error);
    CHECK_FALSE(error->sent());
  }
  client.shutdown();
  const auto error = failureOf([&] { client.send(Call(nullptr), urlOf(gateway), get()); });
  REQUIRE(error);
  CHECK(error->cause() == Cause::Stopping);
  CHECK(error->reason() == "STOPPING");
  CHECK(gateway.requests().empty());
}

TEST_CASE("a name that nobody knows") {
  HttpClient client;
  const auto error =
      failureOf([&] { client.send(Call(nullptr), BaseUrl::parse(std::string("http://") + kStuckName), get()); });
  REQUIRE(error);
  CHECK(error->cause() == Cause::Unreachable);
  CHECK_FALSE(error->sent());
}

TEST_CASE("a lookup that outlived its exchange ends by itself") {
  const StuckName stuck;
  HttpClient client;
  ClientRequest request = get();
  request.connectTimeout = 50ms;
  CHECK(failureOf([&] { client.send(Call(nullptr), BaseUrl::parse(std::string("http://") + kStuckName), request); }));
  CHECK(waitingLookups() == 1);
}
