/// TLS to upstreams: who is believed, what is refused, and that nothing is ever sent in clear instead.
#include "NameServer.h"
#include "TlsKit.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <http/codec/WebSocket.h>
#include <http/engine/AresResolver.h>
#include <openssl/err.h>
#include <support/TempDir.h>
#include <support/Wait.h>
#include <sys/socket.h>
#include <unistd.h>

#include <latch>
#include <thread>

using namespace stand;
using namespace std::chrono_literals;
using matrixos::Address;
using matrixos::http::ForwardFailure;
using matrixos::http::TlsClientContext;
using matrixos::http::TlsPeer;
using matrixos::http::Upstream;
using matrixos::test::eventually;
using matrixos::test::RawConnection;

namespace {

struct World {
  World() {
    matrixos::test::writeFile(dir / "ca.pem", authority.pem());
    context = TlsClientContext::create({false, (dir / "ca.pem").string()});
  }

  Upstream::Candidate candidate(std::uint16_t port, const std::string &name = "up.example") const {
    Upstream::Candidate out = at(port);
    out.tls = context->peer(name);
    return out;
  }
  Upstream upstream(std::uint16_t port, const std::string &name = "up.example", bool reuse = true) const {
    return {{candidate(port, name)}, reuse};
  }

  matrixos::test::TempDir dir;
  Authority authority;
  std::shared_ptr<TlsClientContext> context;
};

void only(SSL_CTX *context, int version) {
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
}

/// The upstream is not believed, for that reason, and gets no request.
void checkRefused(const World &world, const Certificate &certificate, const std::string &reason,
                  const std::function<void(SSL_CTX *)> &change = {}) {
  CAPTURE(reason);
  std::atomic<int> served{0};
  TlsUpstream server(
      certificate,
      [&](SSL *ssl) {
        if (!readHead(ssl).empty()) ++served;
      },
      change);
  Stand stand(world.upstream(server.port()));
  CHECK(stand.get().status == 502);
  const auto notes = stand.notes(1);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].failures == std::vector{ForwardFailure::Untrusted});
  CHECK(notes[0].summary.reason == reason);
  CHECK(served == 0);
  CHECK(server.accepted() == 1); // and not once more, in clear
}

} // namespace

TEST_CASE("an upstream that proves its name is served over TLS, with SNI, ALPN and either version") {
  const World world;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    TlsUpstream server(
        world.authority.issue(), [](SSL *ssl) { serve(ssl, "hello"); }, [&](SSL_CTX *c) { only(c, version); });
    Stand stand(world.upstream(server.port(), "UP.example."));
    for (int i = 0; i < 3; ++i) {
      const auto answer = stand.get();
      CHECK(answer.status == 200);
      CHECK(answer.body == "hello");
    }
    CHECK(server.lastName() == "up.example");
    CHECK(server.lastProtocol() == "http/1.1");
    CHECK(server.accepted() == 1); // the connection was kept
    CHECK(stand.notes(3)[2].summary.reusedUpstream);
  }
}

TEST_CASE("who does not prove the name gets nothing") {
  const World world;
  const Authority stranger;
  checkRefused(world, stranger.issue(), "the upstream's certificate has an unknown issuer");
  checkRefused(world, world.authority.issue({{"other.example"}}), "the upstream's certificate is for another name");
  // RFC 9525 §2: the subject's common name counts for nothing; §6.3: a wildcard stands for one whole label.
  checkRefused(world, world.authority.issue({{}, "up.example"}), "the upstream's certificate is for another name");
  checkRefused(world, world.authority.issue({{"u*.example"}}), "the upstream's certificate is for another name");
  checkRefused(world, world.authority.issue({{"*.up.example"}}), "the upstream's certificate is for another name");
  checkRefused(world, world.authority.issue({{"up.example"}, "", -3, -1}), "the upstream's certificate has expired");
  checkRefused(world, world.authority.issue({{"up.example"}, "", 1, 3}), "the upstream's certificate is not valid yet");
}

TEST_CASE("a wildcard and an IP address are names too") {
  const World world;
  TlsUpstream wild(world.authority.issue({{"*.up.example"}}), [](SSL *ssl) { serve(ssl, "wild"); });
  CHECK(Stand(world.upstream(wild.port(), "a.up.example")).get().body == "wild");
  TlsUpstream address(world.authority.issue({{"IP:127.0.0.1"}}), [](SSL *ssl) { serve(ssl, "address"); });
  CHECK(Stand(world.upstream(address.port(), "127.0.0.1")).get().body == "address");
  CHECK(address.lastName().empty()); // RFC 6066 §3
  TlsUpstream other(world.authority.issue({{"IP:127.0.0.2"}}), [](SSL *ssl) { serve(ssl, "other"); });
  CHECK(Stand(world.upstream(other.port(), "127.0.0.1")).get().status == 502);
}

TEST_CASE("the system's roots do not know our authority, and one of the two has to be trusted") {
  World world;
  world.context = TlsClientContext::create({});
  checkRefused(world, world.authority.issue(), "the upstream's certificate has an unknown issuer");
  CHECK_THROWS_AS(TlsClientContext::create({false, {}}), matrixos::Error);
  CHECK_THROWS_AS(TlsClientContext::create({true, "/none.pem"}), matrixos::Error);
  for (const char *bad : {"", ".", "a..b", "a b", "a/b", "a:443", "*.example"})
    CHECK_THROWS_AS(world.context->peer(bad), matrixos::Error);
}

TEST_CASE("versions before TLS 1.2 are not spoken") {
  const World world;
  checkRefused(world, world.authority.issue(), "the upstream speaks no version of TLS from 1.2 on", [](SSL_CTX *c) {
    SSL_CTX_set_security_level(c, 0);
    only(c, TLS1_1_VERSION);
  });
}

TEST_CASE(
    "an upstream that speaks no TLS, ends or talks nonsense in the handshake is refused, and never asked in clear") {
  const World world;
  struct Row {
    std::string says;
    std::string reason;
  };
  const std::string garbage(8000, '\x16');
  const std::string record("\x16\x03\x03\x00\x05zzzzz", 10);
  const std::string huge("\x16\x03\x03\xff\xff", 5);
  for (const Row &row : {Row{"HTTP/1.1 400 Bad Request\r\n\r\n", "the upstream does not speak TLS"},
                         Row{"", "the upstream closed its connection inside the TLS handshake"}, Row{garbage, ""},
                         Row{record, ""}, Row{huge, ""}}) {
    CAPTURE(row.says);
    std::atomic<bool> inClear{false};
    Peer server([&](int fd) {
      char block[16384];
      const ssize_t got = ::recv(fd, block, sizeof block, 0);
      inClear = got > 0 && std::string_view(block, static_cast<std::size_t>(got)).find("HTTP/1.1") != std::string::npos;
      sendAll(fd, row.says);
      if (row.says.empty()) return;
      while (::recv(fd, block, sizeof block, 0) > 0) {
      }
    });
    Stand stand(world.upstream(server.port()));
    CHECK(stand.get().status == 502);
    const auto notes = stand.notes(1);
    CHECK(notes[0].failures == std::vector{ForwardFailure::Untrusted});
    if (!row.reason.empty()) CHECK(notes[0].summary.reason == row.reason);
    CHECK(*notes[0].summary.reason != '\0');
    CHECK(server.accepted() == 1);
    CHECK_FALSE(inClear);
  }
}

TEST_CASE("a handshake that stands still ends with the time for connecting, and the next candidate has its turn") {
  const World world;
  StandOptions options;
  options.server.timeouts.connect = 150ms;
  Peer silent([](int fd) {
    char block[16384];
    while (::recv(fd, block, sizeof block, 0) > 0) {
    }
  });
  {
    Stand stand(world.upstream(silent.port()), options);
    CHECK(stand.get().status == 504);
    const auto notes = stand.notes(1);
    CHECK(notes[0].failures == std::vector{ForwardFailure::ConnectTimeout});
    CHECK(notes[0].summary.reason == std::string("the upstream stalls inside the TLS handshake"));
  }
  const Authority stranger;
  TlsUpstream untrusted(stranger.issue(), [](SSL *ssl) { serve(ssl, "untrusted"); });
  TlsUpstream good(world.authority.issue(), [](SSL *ssl) { serve(ssl, "good"); });
  Upstream upstream{{world.candidate(silent.port()), world.candidate(untrusted.port()), world.candidate(good.port())}};
  Stand stand(upstream, options);
  CHECK(stand.get().body == "good");
  CHECK(stand.notes(1)[0].failures.empty());
}

TEST_CASE("sessions are used again, for the same name only") {
  const World world;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    TlsUpstream server(
        world.authority.issue({{"up.example", "two.example"}}), [](SSL *ssl) { serve(ssl, "hello"); },
        [&](SSL_CTX *c) { only(c, version); });
    const auto first = world.context->peer("up.example");
    const auto second = world.context->peer("two.example");
    CHECK(first == world.context->peer("Up.Example"));
    CHECK(first != second);
    {
      Stand stand(world.upstream(server.port(), "up.example", false));
      for (int i = 0; i < 20; ++i)
        CHECK(stand.get().status == 200);
    }
    CHECK(server.handshakes() == 20);
    CHECK(server.resumed() == 19);
    CHECK(first->handshakes() == 20);
    CHECK(first->resumptions() == 19);
    CHECK(Stand(world.upstream(server.port(), "two.example", false)).get().status == 200);
    CHECK(second->handshakes() == 1);
    CHECK(second->resumptions() == 0);
  }
}

TEST_CASE("a session does not outlive the trust in a context: another context begins anew") {
  World world;
  TlsUpstream server(world.authority.issue(), [](SSL *ssl) { serve(ssl, "hello"); });
  CHECK(Stand(world.upstream(server.port(), "up.example", false)).get().status == 200);
  world.context = TlsClientContext::create({}); // who does not know our authority
  CHECK(Stand(world.upstream(server.port(), "up.example", false)).get().status == 502);
}

TEST_CASE("plain and encrypted connections, and those of different names, do not share a pool") {
  const World world;
  TlsUpstream server(world.authority.issue({{"up.example", "two.example"}}), [](SSL *ssl) { serve(ssl, "kept"); });
  const Upstream::Candidate first = world.candidate(server.port());
  // The same number for all, which is what must not matter.
  Upstream::Candidate other = first;
  SUBCASE("another name") {
    other.tls = world.context->peer("two.example");
  }
  SUBCASE("another name that the upstream does not have") {
    other.tls = world.context->peer("three.example");
  }
  SUBCASE("another trust") {
    other.tls = TlsClientContext::create({})->peer("up.example");
  }
  SUBCASE("no TLS") {
    other.tls = nullptr;
  }
  StandOptions options;
  options.server.timeouts.upstreamIdle = 60s;
  options.second = std::make_shared<Upstream>(Upstream{{other}});
  Stand stand(Upstream{{first}}, options);
  CHECK(stand.get().body == "kept");
  CHECK(stand.get().body == "kept");
  CHECK(server.accepted() == 1);
  const bool fits = other.tls && other.tls->name() == "two.example";
  CHECK((stand.get("/2").body == "kept") == fits);
  CHECK(server.accepted() == 2);
  CHECK_FALSE(stand.notes(3)[2].summary.reusedUpstream);
  CHECK(stand.get().body == "kept");
  CHECK(server.accepted() == 2);
}

TEST_CASE("a name is looked up, and whoever is found has to prove it") {
  const World world;
  const Authority stranger;
  TlsUpstream good(world.authority.issue(), [](SSL *ssl) { serve(ssl, "good"); });
  TlsUpstream bad(stranger.issue(), [](SSL *ssl) { serve(ssl, "bad"); });
  NameServer names;
  names.say(std::vector<NameServer::Record>{{NameServer::kA, "127.0.0.1", 60}});
  const auto resolver = std::make_shared<matrixos::http::AresResolver>(matrixos::http::AresOptions{names.address()});
  const auto named = [&](std::uint16_t port) {
    Upstream out = world.upstream(port);
    out.candidates[0].host = matrixos::http::HostName::parse("up.example:" + std::to_string(port), resolver);
    return out;
  };
  Stand stand(named(good.port()));
  CHECK(stand.get().body == "good");
  CHECK(stand.get().body == "good");
  CHECK(good.accepted() == 1);
  Stand other(named(bad.port()));
  CHECK(other.get().status == 502);
  CHECK(other.notes(1)[0].failures == std::vector{ForwardFailure::Untrusted});
}

TEST_CASE("an upstream that asks for another handshake is told that there will be none") {
  const World world;
  std::atomic<bool> refused{false};
  TlsUpstream server(
      world.authority.issue(),
      [&](SSL *ssl) {
        if (readHead(ssl).empty()) return;
        SSL_renegotiate(ssl);
        SSL_do_handshake(ssl); // sends a HelloRequest
        sendAll(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        ERR_clear_error();
        refused = readHead(ssl).empty() && ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_RENEGOTIATION;
      },
      [](SSL_CTX *c) { only(c, TLS1_2_VERSION); });
  Stand stand(world.upstream(server.port()));
  CHECK(stand.get().body == "ok");
  CHECK(eventually([&] { return refused.load(); }));
  CHECK(server.handshakes() == 1);
}

TEST_CASE("what a kept connection says without being asked is no answer, though the loop has not heard of it yet") {
  const World world;
  std::latch ask(1), said(1), held(1), goOn(1);
  TlsUpstream server(world.authority.issue(), [&](SSL *ssl) {
    if (server.accepted() > 1) return serve(ssl, "mine");
    readHead(ssl);
    sendAll(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
    ask.wait();
    sendAll(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
    said.count_down();
    readHead(ssl);
  });
  StandOptions options;
  options.server.timeouts.upstreamIdle = 60s;
  int connections = 0;
  options.onConnection = [&] {
    if (++connections == 1) return;
    held.count_down();
    goOn.wait();
  };
  Stand stand(world.upstream(server.port()), options);
  RawConnection client(stand.port());
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(request);
  CHECK(client.receiveResponse().body == "first");
  RawConnection other(stand.port());
  held.wait();
  client.send(request); // the loop finds this first, and then the rest
  ask.count_down();
  said.wait();
  std::this_thread::sleep_for(5ms); // within its millisecond a connection counts as just seen
  goOn.count_down();
  CHECK(client.receiveResponse().body == "mine");
  CHECK(server.accepted() == 2);
}

TEST_CASE("large bodies pass in both directions, however the records are cut") {
  const World world;
  std::string body(3'000'000, ' ');
  for (std::size_t i = 0; i < body.size(); ++i)
    body[i] = static_cast<char>('a' + i % 23);
  for (const std::size_t most : {std::size_t{512}, std::size_t{16384}}) {
    CAPTURE(most);
    TlsUpstream server(
        world.authority.issue(),
        [&](SSL *ssl) {
          const std::string head = readHead(ssl);
          std::string got(body.size(), '\0');
          for (std::size_t at = 0, size = 0; at < got.size(); at += size)
            if (SSL_read_ex(ssl, got.data() + at, got.size() - at, &size) != 1) return;
          sendAll(ssl, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(got.size()) + "\r\n\r\n" + got);
          readHead(ssl);
        },
        [&](SSL_CTX *c) { SSL_CTX_set_max_send_fragment(c, most); });
    Stand stand(world.upstream(server.port()));
    const auto answer = matrixos::test::request(stand.port(), "POST", "/", {}, body);
    CHECK(answer.status == 200);
    CHECK(answer.body == body);
  }
}

TEST_CASE("a client that half-closes still gets its answer") {
  const World world;
  TlsUpstream server(world.authority.issue(), [](SSL *ssl) { serve(ssl, "hello"); });
  Stand stand(world.upstream(server.port()));
  RawConnection client(stand.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.shutdownWrite();
  CHECK(client.receiveResponse().body == "hello");
}

TEST_CASE("an answer without a length is whole only if TLS says that it has ended") {
  const World world;
  for (const bool politely : {true, false}) {
    CAPTURE(politely);
    TlsUpstream server(world.authority.issue(), [&](SSL *ssl) {
      if (readHead(ssl).empty()) return;
      sendAll(ssl, "HTTP/1.1 200 OK\r\n\r\nto the end");
      if (politely) SSL_shutdown(ssl);
    });
    Stand stand(world.upstream(server.port()));
    RawConnection client(stand.port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto answer = client.receiveResponse();
    CHECK((answer.status == 200 && answer.body == "to the end") == politely);
    CHECK(stand.notes(1)[0].summary.aborted == !politely);
  }
}

TEST_CASE("garbage among the records breaks the answer off") {
  const World world;
  TlsUpstream server(world.authority.issue(), [](SSL *ssl) {
    if (readHead(ssl).empty()) return;
    sendAll(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    const std::string forged("\x17\x03\x03\x00\x20"
                             "0123456789abcdef0123456789abcdef",
                             37);
    sendAll(SSL_get_fd(ssl), forged);
    readHead(ssl);
  });
  Stand stand(world.upstream(server.port()));
  RawConnection client(stand.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.receiveResponse().status == 0);
  CHECK(stand.notes(1)[0].summary.aborted);
}

TEST_CASE("a WebSocket passes over TLS, and each side ends by itself") {
  const World world;
  TlsUpstream server(world.authority.issue(), [](SSL *ssl) {
    const std::string head = readHead(ssl);
    const std::size_t at = head.find("Sec-WebSocket-Key: ") + 19;
    const std::string accept = matrixos::http::webSocketAccept(head.substr(at, head.find("\r\n", at) - at));
    sendAll(ssl, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Accept: " +
                     accept + "\r\n\r\n");
    char block[4096];
    std::size_t got = 0;
    while (SSL_read_ex(ssl, block, sizeof block, &got) == 1)
      sendAll(ssl, {block, got});
    SSL_shutdown(ssl);
  });
  Stand stand(world.upstream(server.port()));
  RawConnection client(stand.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  std::string head;
  while (head.find("\r\n\r\n") == std::string::npos) {
    const std::string byte = client.receive(1);
    REQUIRE_FALSE(byte.empty());
    head += byte;
  }
  CHECK(head.find("101") != std::string::npos);
  client.send("\x81\x02hi");
  CHECK(client.receive(4) == "\x81\x02hi");
  client.shutdownWrite();
  CHECK(client.receive(1).empty());
  CHECK(stand.notes(1)[0].summary.upgraded);
}
