/// What one client may cost in memory.
#include "Stage.h"

#include <doctest/doctest.h>
#include <support/Sanitizers.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

using namespace matrixos::gateway::test;
using namespace matrixos::gateway;
using matrixos::test::eventually;
using matrixos::test::RawConnection;
using namespace std::chrono_literals;

namespace {

/// Of this process, in bytes.
std::size_t residentBytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

TEST_CASE("an upstream that is fast waits for a client that is slow") {
  constexpr std::size_t kPiece = 64U << 10U;
  constexpr std::size_t kAll = 256U << 20U;
  constexpr std::size_t kSockets = 128U << 20U; // what four of them buffer is less
  std::atomic<std::size_t> sent{0};
  Upstream upstream([&](const Peer &peer, const std::string &) {
    const std::string piece = chunk(textEvent(std::string(kPiece, 'x')));
    peer.say(kStreamHead + chunk(startEvent(40)));
    while (sent < kAll && peer.say(piece))
      sent += kPiece;
  });
  Stage stage({upstream.url()}, [](GatewayOptions &options) { options.drainBytes = 100'000; });
  {
    auto client = stage.sent(Stage::body(100, true));
    REQUIRE(client.receive(12) == "HTTP/1.1 200");
    std::size_t before = 0;
    // It stands still once all buffers are full, and never before all is sent if there is one without an end.
    REQUIRE(eventually([&] {
      const std::size_t now = sent;
      const bool still = now != 0 && now == std::exchange(before, now);
      std::this_thread::sleep_for(500ms);
      return still;
    }));
    CHECK(sent < kSockets);
    matrixos::test::resetOnClose(client.fd());
  }
  REQUIRE(stage.settled());
  CHECK(stage.books.rows().size() == 1);
}

TEST_CASE("connections that wait keep nothing of the requests before" SKIP_IN_SANITIZERS) {
  constexpr std::size_t kClients = 400;
  constexpr std::size_t kBody = 60'000;
  Upstream upstream(answerOf("200 OK", "{}"));
  Stage stage({upstream.url()});
  std::vector<RawConnection> clients;
  const auto ask = [](RawConnection &client, const std::string &body) {
    client.send("POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: " + std::string(kToken) +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.receiveResponse().status;
  };
  for (std::size_t i = 0; i < kClients; ++i)
    REQUIRE(ask(clients.emplace_back(stage.port()), "no JSON") == 400);
  const std::size_t before = residentBytes();
  for (RawConnection &client : clients)
    REQUIRE(ask(client, std::string(kBody, ' ')) == 400);
  const std::size_t after = residentBytes();
  CHECK(after < before + kClients * kBody / 4);
}
