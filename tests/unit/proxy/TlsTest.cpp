/// TLS on the client's side, as curl and openssl see it.
#include "Kit.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <http/engine/Tls.h>
#include <support/Process.h>
#include <support/TempDir.h>
#include <sys/socket.h>

using namespace kit;
using matrixos::test::run;
using matrixos::test::TempDir;

namespace {

struct Certificate {
  explicit Certificate(const TempDir &dir, const std::string &name)
      : file((dir / (name + ".pem")).string()), key((dir / (name + ".key")).string()) {
    const auto made =
        run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:alice.localhost", "-keyout", key, "-out", file});
    REQUIRE_MESSAGE(made.status == 0, made.out);
  }
  std::string file, key;
};

struct TlsFixture {
  TlsFixture() : context(std::make_shared<matrixos::http::TlsContext>(certificate.file, certificate.key)) {}

  /// curl's output for a path of alice.
  matrixos::test::Finished curl(std::uint16_t port, const std::string &ca, std::vector<std::string> arguments) const {
    std::vector<std::string> command{
        "curl",     "-sS", "-m",        "20",
        "--cacert", ca,    "--resolve", "alice.localhost:" + std::to_string(port) + ":127.0.0.1"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.push_back("https://alice.localhost:" + std::to_string(port) + "/path");
    return run(command);
  }

  TempDir dir;
  Certificate certificate{dir, "first"};
  std::shared_ptr<matrixos::http::TlsContext> context;
};

void listenTls(matrixos::proxy::ProxyOptions &options, const TlsFixture &tls) {
  options.server.listen.clear();
  options.server.tlsListen = {"127.0.0.1:0"};
  options.server.tls = tls.context;
}

} // namespace

TEST_CASE("requests over TLS are served, and the instance is told of it") {
  TlsFixture tls;
  Upstream shell(Upstream::echo);
  ProxyFixture f([&](auto &o) { listenTls(o, tls); });
  f.instance("alice", "running", shell.port());
  const auto got = tls.curl(f.port, tls.certificate.file, {"-w", "%{http_version}"});
  CAPTURE(got.out);
  CHECK(got.status == 0);
  CHECK(got.out.find("GET /path HTTP/1.1") == 0);
  CHECK(fieldOf(got.out, "X-Forwarded-Proto") == "https");
  CHECK(got.out.substr(got.out.size() - 3) == "1.1"); // and not h2

  for (const char *version : {"--tlsv1.3", "--tls-max"}) {
    std::vector<std::string> arguments{version};
    if (version == std::string("--tls-max")) arguments.emplace_back("1.2");
    CHECK(tls.curl(f.port, tls.certificate.file, arguments).status == 0);
  }
  CHECK(tls.curl(f.port, tls.certificate.file, {"--tls-max", "1.1"}).status != 0);
}

TEST_CASE("large bodies pass through TLS in both directions") {
  TlsFixture tls;
  Upstream shell(Upstream::echo);
  ProxyFixture f([&](auto &o) { listenTls(o, tls); });
  f.instance("alice", "running", shell.port());
  std::string body(3'000'000, ' ');
  for (std::size_t i = 0; i < body.size(); ++i)
    body[i] = static_cast<char>('a' + i % 23);
  matrixos::test::writeFile(tls.dir / "body", body);
  const auto got = tls.curl(f.port, tls.certificate.file,
                            {"-H", "Expect:", "--data-binary", "@" + (tls.dir / "body").string(), "-H",
                             "Content-Type: text/plain", "--limit-rate", "20M"});
  CHECK(got.status == 0);
  CHECK(got.out.size() > body.size());
  CHECK(got.out.compare(got.out.size() - body.size(), body.size(), body) == 0);
}

TEST_CASE("what is no handshake ends, and one that does not come to its end too") {
  TlsFixture tls;
  ProxyFixture f([&](auto &o) {
    listenTls(o, tls);
    o.server.timeouts.header = 200ms;
  });
  Conn plain = f.connect();
  plain.send("GET / HTTP/1.1\r\nHost: alice.localhost\r\n\r\n");
  CHECK(plain.readAll().find("HTTP/") == std::string::npos);
  Conn silent = f.connect();
  CHECK(silent.readAll().empty());
}

TEST_CASE("a renewed certificate is used, a pair that does not fit is not") {
  TlsFixture tls;
  Upstream shell(Upstream::echo);
  ProxyFixture f([&](auto &o) { listenTls(o, tls); });
  f.instance("alice", "running", shell.port());
  const Certificate second(tls.dir, "second");
  CHECK_FALSE(tls.context->refresh());
  CHECK(tls.curl(f.port, second.file, {}).status != 0);

  const auto replace = [](const std::string &from, const std::string &to) {
    matrixos::test::writeFile(to, matrixos::test::readFile(from));
    // Later than before, however coarse the file system's clock is.
    std::filesystem::last_write_time(to, std::filesystem::last_write_time(to) + std::chrono::seconds{5});
  };
  replace(second.file, tls.certificate.file);
  CHECK_THROWS_AS(tls.context->refresh(), matrixos::Error);
  CHECK(tls.curl(f.port, second.file, {}).status != 0);
  replace(second.key, tls.certificate.key);
  CHECK(tls.context->refresh());
  CHECK(tls.curl(f.port, second.file, {}).status == 0);
}

namespace {

void pass(const Conn &from, const Conn &to) {
  char block[16384];
  for (ssize_t got = ::recv(from.fd(), block, sizeof block, 0); got > 0;
       got = ::recv(from.fd(), block, sizeof block, 0))
    if (::send(to.fd(), block, static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) break;
  ::shutdown(to.fd(), SHUT_WR);
}

/// A load balancer that passes connections on as they are, with a header ahead, in pieces of that size.
void balance(Conn &client, std::uint16_t port, const std::string &header, std::size_t step) {
  Conn server = Conn::to(port);
  for (std::size_t at = 0; at < header.size(); at += step) {
    server.send(header.substr(at, step));
    if (step < header.size()) std::this_thread::sleep_for(1ms);
  }
  std::thread back([&] { pass(server, client); });
  pass(client, server);
  back.join();
}

} // namespace

TEST_CASE("the header of a load balancer comes before the handshake") {
  TlsFixture tls;
  Upstream shell(Upstream::echo);
  ProxyFixture f([&](auto &o) {
    listenTls(o, tls);
    o.server.proxyProtocol = true;
    o.trustedPeers = {"127.0.0.1"};
    o.server.timeouts.header = 5s;
  });
  f.instance("alice", "running", shell.port());
  const std::string text = "PROXY TCP4 192.0.2.9 192.0.2.1 4711 443\r\n";
  const std::string binary("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\x02\x09\xC0\0\x02\x01\x12\x67\x01\xBB", 28);
  for (const std::string &header : {text, binary}) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{13}, header.size()}) {
      CAPTURE(step);
      Upstream balancer([&](Conn &client) { balance(client, f.port, header, step); });
      const auto got = tls.curl(balancer.port(), tls.certificate.file, {});
      CHECK(got.status == 0);
      CHECK(fieldOf(got.out, "X-Forwarded-For") == "192.0.2.9");
      CHECK(fieldOf(got.out, "X-Forwarded-Proto") == "https");
    }
  }
  CHECK(tls.curl(f.port, tls.certificate.file, {}).status != 0); // a handshake at once
  for (const std::string &bad : {std::string("PROXY TCP4 nonsense\r\n"), std::string("GET / HTTP/1.1\r\n\r\n")}) {
    Conn conn = f.connect();
    conn.send(bad);
    CHECK(conn.ends());
  }
  f.reconfigure([](auto &o) { o.server.timeouts.header = 100ms; });
  Conn half = f.connect();
  half.send(text.substr(0, 20));
  CHECK(half.ends());
}

TEST_CASE("a listener passes from plain to TLS and back without being closed") {
  TlsFixture tls;
  Upstream shell(Upstream::echo);
  ProxyFixture f;
  f.instance("alice", "running", shell.port());
  Conn kept = f.connect();
  CHECK(kept.get("/", "alice.localhost").status == 200);
  f.reconfigure([](auto &o) { o.server.listen.push_back("127.0.0.1:0"); });
  f.reconfigure([&](auto &o) { listenTls(o, tls), o.server.tlsListen = {"127.0.0.1:" + std::to_string(f.port)}; });
  const std::uint16_t port = f.proxy->addresses().front().port();
  CHECK(tls.curl(port, tls.certificate.file, {}).status == 0);
  CHECK(f.proxy->addresses().size() == 1);
  f.reconfigure([&](auto &o) { std::swap(o.server.listen, o.server.tlsListen), o.server.tls.reset(); });
  CHECK(tls.curl(port, tls.certificate.file, {}).status != 0);
  CHECK(Conn::to(port).get("/", "alice.localhost").status == 200);
  CHECK_THROWS_AS(f.reconfigure([](auto &o) { o.server.tlsListen = {"127.0.0.1:0"}; }), matrixos::Error);
}

TEST_CASE("files that cannot be used are named") {
  TempDir dir;
  try {
    matrixos::http::TlsContext context((dir / "none.pem").string(), (dir / "none.key").string());
    FAIL("it was accepted");
  } catch (const matrixos::Error &e) {
    CHECK(std::string(e.what()).find("none.pem for TLS: No such file") != std::string::npos);
  }
}
