// Issuers on a socket that do what none should, with the host's own HTTP client.
#include "Callback.h"
#include "HostFetch.h"

#include <doctest/doctest.h>
#include <identity/oidc/OpenIdProvider.h>
#include <support/Errors.h>
#include <support/ScriptedHttp.h>
#include <support/ServedIssuer.h>

#include <string>

using namespace matrixos;
using namespace matrixos::test;
using identity::OpenIdProvider;
using identity::SignInStart;

namespace {

/// A sign-in at it.
struct Outside : ServedIssuer {
  HostFetch host;

  std::string refusal() {
    OpenIdProvider provider({issuer.name(), issuer.clientId, issuer.clientSecret, {}, {}}, host.world());
    return errorOf([&] {
             const SignInStart start = provider.begin(kCallback);
             provider.finish({{"code", issuer.code(start.location)}, {"state", start.state}, {"iss", issuer.name()}},
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
  ScriptedHttp evil([this](const Peer &peer) { peer.answer("200 OK", "application/json", issuer.discovery.dump()); });
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
  ScriptedHttp inside([this](const Peer &peer) { peer.answer("200 OK", "application/json", issuer.keys.dump()); });
  issuer.discovery["jwks_uri"] = inside.url() + "/jwks";
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
