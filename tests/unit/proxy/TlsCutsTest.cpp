// A client that is cut off at every byte of its TLS connection, handshake and request.
#include "Kit.h"
#include "Wire.h"

#include <doctest/doctest.h>
#include <http/engine/Tls.h>
#include <openssl/ssl.h>
#include <support/Process.h>
#include <support/TempDir.h>

#include <memory>

using namespace kit;
using matrixos::test::run;
using matrixos::test::TempDir;

namespace {

/// The client's half of TLS without a socket: what it wants to send is taken, what came is given.
class TlsClient {
public:
  explicit TlsClient(SSL_CTX *context) : ssl_(SSL_new(context), SSL_free) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
  }
  void give(const std::string &bytes) { BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())); }
  /// What it says now; the request follows the handshake.
  std::string take(const std::string &request) {
    if (SSL_do_handshake(ssl_.get()) == 1 && !requested_) {
      requested_ = true;
      SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size()));
    }
    std::string out(static_cast<std::size_t>(BIO_pending(out_)), '\0');
    if (!out.empty()) BIO_read(out_, out.data(), static_cast<int>(out.size()));
    return out;
  }
  std::string answer() {
    char block[16384];
    const int got = SSL_read(ssl_.get(), block, sizeof block);
    return got > 0 ? std::string(block, static_cast<std::size_t>(got)) : "";
  }

private:
  std::unique_ptr<SSL, void (*)(SSL *)> ssl_;
  BIO *in_;
  BIO *out_;
  bool requested_ = false;
};

struct TlsStage {
  TlsStage() {
    const std::string key = (dir / "key").string(), file = (dir / "pem").string();
    const auto made = run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                           "-days", "2", "-subj", "/CN=x", "-keyout", key, "-out", file});
    REQUIRE_MESSAGE(made.status == 0, made.out);
    fixture = std::make_unique<ProxyFixture>([&](auto &options) {
      options.server.loops = 1;
      options.server.listen.clear();
      options.server.tlsListen = {"127.0.0.1:0"};
      options.server.tls = std::make_shared<matrixos::http::TlsContext>(file, key);
      options.server.timeouts.upstreamIdle = 60s;
    });
    fixture->instance("alice", "running", shell.port());
  }
  ~TlsStage() { SSL_CTX_free(context); }

  /// The bytes the client sent, all of them when `most` is enough.
  std::size_t play(std::size_t most, Cut cut);

  TempDir dir;
  std::atomic<std::size_t> requests{0};
  Upstream shell{[this](Conn &conn) {
    while (!conn.readHead().empty()) {
      ++requests;
      conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  }};
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  std::unique_ptr<ProxyFixture> fixture;
};

std::size_t TlsStage::play(std::size_t most, Cut cut) {
  CAPTURE(most);
  const std::size_t before = requests;
  TlsClient tls(context);
  End end(matrixos::test::connectTo(fixture->port).release());
  REQUIRE(eventually([&] { return fixture->proxy->connections() == 1; }));
  std::size_t sent = 0;
  std::string answer;
  const auto limit = std::chrono::steady_clock::now() + 10s;
  while (!end.over() && answer.find("\r\n\r\nok") == std::string::npos && std::chrono::steady_clock::now() < limit) {
    const std::string text = tls.take("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n").substr(0, most - sent);
    sent += text.size();
    if (!text.empty()) end.say(text);
    end.step();
    if (sent == most && end.saidAll() && !end.isCut()) end.cut(cut);
    tls.give(end.heard());
    end.forget(end.heard().size());
    answer += tls.answer();
    std::this_thread::yield();
  }
  if (most == SIZE_MAX) CHECK(answer.find("\r\n\r\nok") != std::string::npos);
  end.close();
  CHECK(eventually([&] { return fixture->proxy->connections() == 0; }));
  if (most != SIZE_MAX) CHECK(requests == before);
  fixture->proxy->collect();
  return sent;
}

} // namespace

TEST_CASE("a client that is cut off at any byte of its TLS connection leaves nothing behind") {
  TlsStage stage;
  const std::size_t whole = stage.play(SIZE_MAX, Cut::Close);
  constexpr Cut kCuts[] = {Cut::Reset, Cut::Close, Cut::HalfClose};
  const auto most = static_cast<std::int64_t>(whole * 8);
  std::size_t descriptors = 0;
  std::int64_t grown = 0;
  // Pools, those of OpenSSL too, fill up for a while; what leaks goes on growing.
  for (int round = 0; round < 3 || (round < 12 && grown > most); ++round) {
    if (round == 1) descriptors = openDescriptors();
    const std::size_t before = bytesInUse();
    for (std::size_t at = 0; at < whole; ++at)
      stage.play(at, kCuts[round % 3]);
    grown = static_cast<std::int64_t>(bytesInUse()) - static_cast<std::int64_t>(before);
  }
  stage.play(SIZE_MAX, Cut::Close);
  MESSAGE(whole, " bytes of a client; ", grown, " bytes stay of as many cuts");
  CHECK(grown <= most);
  CHECK(eventually([&] { return openDescriptors() <= descriptors; }));
}
