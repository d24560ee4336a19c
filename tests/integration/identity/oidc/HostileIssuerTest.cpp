// Issuers on a socket that do what none should, with the host's own HTTP client.
#include "HostFetch.h"

#include <doctest/doctest.h>
#include <identity/oidc/OpenIdProvider.h>
#include <support/Errors.h>
#include <support/MockIssuer.h>
#include <support/ScriptedHttp.h>

#include <functional>
#include <memory>
#include <string>

using namespace matrixos;
using namespace matrixos::test;
using identity::OpenIdProvider;
using identity::SignInStart;

namespace {

constexpr const char *kCallback = "http://console.localhost/auth/callback";

/// An issuer at a port of its own, and the sign-in at it.
struct Outside {
  using Script = std::function<bool(const Peer &peer, const std::string &path)>;

  /// Has the first word on each request; false leaves it to the issuer.
  Script script = [](const Peer &, const std::string &) { return false; };
  std::unique_ptr<MockIssuer> issuer;
  ScriptedServer server{[this](const Peer &peer) { serve(peer); }};
  HostFetch host;

  Outside() {
    issuer = std::make_unique<MockIssuer>("http://127.0.0.1:" + std::to_string(server.port()));
    issuer->now = wallClockMs() / 1000;
    server.listen();
  }

  void serve(const Peer &peer) const {
    const std::string text = peer.readRequest();
    const std::size_t blank = text.find(' '), end = text.find(' ', blank + 1), body = text.find("\r\n\r\n");
    if (body == std::string::npos) return;
    FetchRequest request;
    request.method = text.substr(0, blank);
    const std::string path = text.substr(blank + 1, end - blank - 1);
    request.url = issuer->name() + path;
    request.body = text.substr(body + 4);
    for (const char *name : {"Authorization", "Content-Type"}) {
      const std::size_t at = text.find("\r\n" + std::string(name) + ": ");
      if (at == std::string::npos) continue;
      const std::size_t value = at + std::string(name).size() + 4;
      request.headers.emplace_back(name, text.substr(value, text.find("\r\n", value) - value));
    }
    if (script(peer, path)) return;
    const FetchAnswer answer = issuer->answer(request);
    peer.say("HTTP/1.1 " + std::to_string(answer.status) + " X\r\nContent-Length: " +
             std::to_string(answer.body.size()) + "\r\nConnection: close\r\n\r\n" + answer.body);
  }

  std::string refusal() {
    OpenIdProvider provider({issuer->name(), issuer->clientId, issuer->clientSecret, {}, {}}, host.world());
    return errorOf([&] {
             const SignInStart start = provider.begin(kCallback);
             provider.finish({{"code", issuer->code(start.location)}, {"state", start.state}, {"iss", issuer->name()}},
                             start.secret, kCallback);
           })
        .reason();
  }
};

} // namespace

TEST_CASE_FIXTURE(Outside, "an issuer on loopback signs in when the operator named it") {
  CHECK(refusal() == "");
}

TEST_CASE_FIXTURE(Outside, "no redirect of an issuer's is followed, and nothing goes along") {
  ScriptedHttp evil([this](const Peer &peer) { peer.answer("200 OK", "application/json", issuer->discovery.dump()); });
  for (const char *where : {"/.well-known/openid-configuration", "/jwks", "/token"}) {
    script = [&](const Peer &peer, const std::string &path) {
      if (path != where) return false;
      peer.say("HTTP/1.1 307 X\r\nLocation: " + evil.url() + path +
               "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return true;
    };
    CAPTURE(where);
    CHECK(refusal() == "BAD_ISSUER_ANSWER");
  }
  CHECK(evil.requests().empty());
}

TEST_CASE_FIXTURE(Outside, "an issuer's addresses on other private places are not asked") {
  ScriptedHttp inside([this](const Peer &peer) { peer.answer("200 OK", "application/json", issuer->keys.dump()); });
  issuer->discovery["jwks_uri"] = inside.url() + "/jwks";
  CHECK(refusal() == "ISSUER_UNREACHABLE");
  CHECK(inside.requests().empty());
}

TEST_CASE_FIXTURE(Outside, "what is too long, cut off or no HTTP signs nobody in") {
  for (const char *where : {"/.well-known/openid-configuration", "/jwks", "/token"}) {
    std::string answer;
    script = [&](const Peer &peer, const std::string &path) {
      if (path == where) peer.say(answer);
      return path == where;
    };
    CAPTURE(where);
    // More than the megabyte that is read, announced and not.
    answer = "HTTP/1.1 200 X\r\nContent-Length: 900000000\r\n\r\n" + std::string(1'100'000, ' ');
    CHECK(refusal() == "ISSUER_UNREACHABLE");
    answer = "HTTP/1.1 200 X\r\n\r\n" + std::string(1'100'000, ' ') + "{}";
    CHECK(refusal() == "ISSUER_UNREACHABLE");
    answer = "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{}";
    CHECK(refusal() == "ISSUER_UNREACHABLE");
    answer = "SSH-2.0-OpenSSH\r\n";
    CHECK(refusal() == "ISSUER_UNREACHABLE");
    answer.clear();
    CHECK(refusal() == "ISSUER_UNREACHABLE");
  }
}
