/// The rest of an answer on a server's own threads: over TLS, and through drain and stop.
#include "TlsKit.h"

#include <doctest/doctest.h>
#include <support/TempDir.h>
#include <support/Wait.h>

using namespace stand;
using namespace std::chrono_literals;
using matrixos::http::Upstream;
using matrixos::test::eventually;
using matrixos::test::RawConnection;

namespace {

StandOptions reading(std::chrono::milliseconds most) {
  StandOptions options;
  options.observe = true;
  options.rest = most;
  return options;
}

const std::string kHead = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";

/// Asks, and leaves once that much of the answer is there.
void askAndLeave(const Stand &stand, const std::string &until) {
  RawConnection client(stand.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string got;
  while (got.find(until) == std::string::npos) {
    const std::string byte = client.receive(1);
    REQUIRE(!byte.empty());
    got += byte;
  }
  matrixos::test::resetOnClose(client.fd());
}

} // namespace

TEST_CASE("over TLS the rest is read as well, and the connection serves the next request") {
  matrixos::test::TempDir dir;
  Authority authority;
  matrixos::test::writeFile(dir / "ca.pem", authority.pem());
  const auto context = matrixos::http::TlsClientContext::create({false, (dir / "ca.pem").string()});
  std::atomic<bool> left{false};
  TlsUpstream server(authority.issue(), [&](SSL *ssl) {
    if (readHead(ssl).empty()) return;
    sendAll(ssl, kHead + "half");
    if (!eventually([&] { return left.load(); })) return;
    sendAll(ssl, std::string(50, 'x'));
    sendAll(ssl, std::string(46, 'y'));
    serve(ssl, "next");
  });
  Upstream::Candidate to = at(server.port());
  to.tls = context->peer("up.example");
  Stand stand(Upstream{{to}}, reading(20s));
  askAndLeave(stand, "half");
  CHECK(stand.notes(1).size() == 1);
  left = true;
  const auto rests = stand.rests(1);
  REQUIRE(rests.size() == 1);
  CHECK(rests[0].complete == 1);
  CHECK(rests[0].response == std::string(50, 'x') + std::string(46, 'y'));
  CHECK(stand.get().body == "next");
  CHECK(server.accepted() == 1);
}

TEST_CASE("a server that drains does not wait for them, and one that stops tells their observers") {
  for (const bool drains : {true, false}) {
    CAPTURE(drains);
    Peer server([](int fd) {
      if (readHead(fd).empty()) return;
      sendAll(fd, kHead + "half");
      readHead(fd); // until the engine closes
    });
    Stand stand(Upstream{{at(server.port())}}, reading(1h));
    askAndLeave(stand, "half");
    CHECK(stand.notes(1).size() == 1);
    if (drains)
      CHECK(stand.server().drain(20s));
    else
      stand.server().stop();
    const auto rests = stand.rests(1);
    REQUIRE(rests.size() == 1);
    CHECK(rests[0].broken == 1);
    CHECK(rests[0].complete == 0);
  }
}
