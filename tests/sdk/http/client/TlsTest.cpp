/// Who is trusted over TLS. Certificates and servers are openssl's.
#include "Exchanges.h"

#include <support/Process.h>
#include <support/TempDir.h>
#include <support/Wait.h>

using namespace matrixos;
using namespace matrixos::http;
using namespace matrixos::http::test;
using matrixos::test::eventually;
using matrixos::test::Process;
using matrixos::test::readFile;
using matrixos::test::run;
using matrixos::test::TempDir;

namespace {

void openssl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  const auto made = run(arguments);
  REQUIRE_MESSAGE(made.status == 0, made.out);
}

/// An authority that signs certificates for servers.
struct Authority {
  Authority(const TempDir &where, const std::string &called)
      : dir(where), name(called), file((dir / (called + ".pem")).string()), key((dir / (called + ".key")).string()) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=" + name, "-keyout", key, "-out", file});
  }

  /// The path, without its ending, of a certificate for `alternative`, such as "DNS:localhost", and its key.
  std::string sign(const std::string &called, const std::string &alternative, const std::string &days) const {
    const std::string path = (dir / called).string();
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + called,
             "-addext", "subjectAltName=" + alternative, "-keyout", path + ".key", "-out", path + ".csr"});
    openssl({"x509", "-req", "-in", path + ".csr", "-CA", file, "-CAkey", key, "-CAcreateserial", "-copy_extensions",
             "copy", "-days", days, "-out", path + ".pem"});
    return path;
  }

  const TempDir &dir;
  std::string name, file, key;
};

/// `openssl s_server` on a loopback port, which answers GET /answer.
class TlsServer {
public:
  TlsServer(const TempDir &dir, const std::string &certificate, const std::string &options = "")
      : log_(certificate + ".log"),
        process_({"sh", "-c",
                  "cd '" + dir.path().string() + "' && exec openssl s_server -HTTP -accept 127.0.0.1:0 -cert '" +
                      certificate + ".pem' -key '" + certificate + ".key' " + options},
                 log_) {
    matrixos::test::writeFile(dir / "answer", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    static const std::string kReady = "ACCEPT 127.0.0.1:";
    std::string text;
    REQUIRE(eventually([&] {
      text = readFile(log_);
      const std::size_t at = text.find(kReady);
      return at != std::string::npos && text.find('\n', at) != std::string::npos;
    }));
    port_ = std::to_string(std::stoi(text.substr(text.find(kReady) + kReady.size())));
  }

  BaseUrl url(const std::string &host) const { return BaseUrl::parse("https://" + host + ":" + port_); }

private:
  std::string log_;
  Process process_;
  std::string port_;
};

std::optional<ClientError> ask(const TlsServer &server, const std::string &roots, const std::string &host) {
  HttpClient client({0, roots});
  return failureOf([&] {
    const ClientResponse response = client.send(Call(nullptr), server.url(host), get("/answer"));
    CHECK(response.body == "secret");
  });
}

void isUntrusted(const std::optional<ClientError> &error) {
  REQUIRE(error);
  CAPTURE(error->what());
  CHECK(error->cause() == Cause::Tls);
  CHECK(error->status() == Status::Unavailable);
  CHECK_FALSE(error->sent());
}

} // namespace

TEST_CASE("a certificate has to be of this name, of these roots and of today") {
  const TempDir dir;
  const Authority ours(dir, "ours");
  const Authority others(dir, "others");
  const TlsServer good(dir, ours.sign("good", "DNS:localhost,IP:127.0.0.1", "2"));
  CHECK_FALSE(ask(good, ours.file, "localhost"));
  CHECK_FALSE(ask(good, ours.file, "127.0.0.1"));
  isUntrusted(ask(good, others.file, "localhost")); // the issuer is unknown
  isUntrusted(ask(good, "", "localhost"));          // to the system too
  isUntrusted(ask(good, (dir / "none.pem").string(), "localhost"));
  const TlsServer named(dir, ours.sign("named", "DNS:other.example", "2"));
  isUntrusted(ask(named, ours.file, "localhost"));
  isUntrusted(ask(named, ours.file, "127.0.0.1"));
  const TlsServer expired(dir, ours.sign("expired", "DNS:localhost", "-1"));
  isUntrusted(ask(expired, ours.file, "localhost"));
}

TEST_CASE("TLS before 1.2 is not spoken") {
  const TempDir dir;
  const Authority ours(dir, "ours");
  const TlsServer old(dir, ours.sign("old", "DNS:localhost", "2"), "-tls1_1 -cipher DEFAULT:@SECLEVEL=0");
  isUntrusted(ask(old, ours.file, "localhost"));
}

TEST_CASE("a server that does not speak TLS gets nothing of the request") {
  const Gateway gateway([](const Peer &peer) { peer.answer("200 OK", "text/plain", "plain"); });
  const BaseUrl url = BaseUrl::parse("https" + gateway.url().substr(4));
  // It waits for a request and never gets the end of one.
  ClientRequest request = get();
  request.timeout = std::chrono::milliseconds{0};
  request.connectTimeout = std::chrono::milliseconds{300};
  const auto error = failureOf([&] { HttpClient().send(Call(nullptr), url, request); });
  REQUIRE(error);
  CHECK_FALSE(error->sent());
  CHECK(eventually([&] { return gateway.requests().size() == 1; }));
  CHECK(gateway.requests().front().find("GET") == std::string::npos);
}
