// Signing in at an OpenID Connect provider, and with Clerk's tokens, through the daemon.
#include "Browser.h"
#include "Platform.h"
#include "support/ServedIssuer.h"

#include <matrixos/text/base64.hpp>
#include <matrixos/text/time.hpp>

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::test;

TEST_CASE("people sign in at an OpenID Connect provider, and the provider's word makes operators") {
  ServedIssuer served;
  MockIssuer &issuer = served.issuer;
  IdentityPlatform platform(DaemonProcess::Values{{"identity.mode", "oidc"},
                                                  {"identity.issuer", issuer.name()},
                                                  {"identity.client_id", issuer.clientId},
                                                  {"identity.client_secret", issuer.clientSecret},
                                                  {"identity.operators", "groups=admins"},
                                                  {"identity.email_domains", "example.com"}});
  platform.daemon.start();
  const auto signIn = [&](Browser &browser) {
    const Response away = browser.open(browser.url("alice", "/deep?x=1"), 2);
    REQUIRE(away.status == 303);
    const std::string location = away.headers.at("location");
    REQUIRE(location.find(issuer.name()) == 0);
    return browser.open(browser.url("console", "/auth/callback?code=" + issuer.code(location) + "&state=" +
                                                   parameterOf(location, "state") + "&iss=" + issuer.name()));
  };
  issuer.claims["sub"] = "ada";
  issuer.claims["email"] = "ada@example.com";
  issuer.claims["email_verified"] = true;
  Browser ada(platform.daemon.proxyPort());
  CHECK(signIn(ada).body == "an instance");
  CHECK(platform.lastRequest().find("GET /deep?x=1 ") == 0);
  CHECK(platform.lastRequest().find("X-Matrix-User: ada") != std::string::npos);

  issuer.claims["sub"] = "olga";
  issuer.claims["groups"] = {"users", "admins"};
  Browser olga(platform.daemon.proxyPort());
  CHECK(signIn(olga).body == "an instance");
  CHECK(platform.lastRequest().find("X-Matrix-Role: operator") != std::string::npos);

  issuer.claims.erase("groups");
  for (const char *email : {"eve@example.com.evil.test", "eve@evil@example.com", "eve@sub.example.com"}) {
    issuer.claims["email"] = email;
    Browser eve(platform.daemon.proxyPort());
    CHECK_MESSAGE(signIn(eve).status == 401, email);
  }
  issuer.claims["email"] = "eve@example.com";
  issuer.claims["email_verified"] = false;
  Browser eve(platform.daemon.proxyPort());
  CHECK(signIn(eve).status == 401);
  CHECK(platform.daemon.log().find(issuer.clientSecret) == std::string::npos);
}

TEST_CASE("a token of Clerk's signs in when a page of ours posts it, and no other") {
  const SigningKey key(SigningKey::Kind::Rsa, "ins_1");
  const TempDir dir;
  writeFile(dir / "keys.json", R"({"keys":[)" + key.jwk() + "]}");
  const std::string publishable = "pk_test_" + base64Encode("clerk.example.com$");
  IdentityPlatform platform(DaemonProcess::Values{{"identity.mode", "clerk"},
                                                  {"identity.clerk_publishable_key", publishable},
                                                  {"identity.authorized_parties", "http://console.localhost"},
                                                  {"identity.jwks_file", (dir / "keys.json").string()}});
  platform.daemon.start();
  const auto tokenOf = [&](const std::string &party) {
    const std::int64_t now = wallClockMs() / 1000;
    return key.token(R"({"alg":"RS256","typ":"JWT","kid":"ins_1"})",
                     R"({"iss":"https://clerk.example.com","sub":"ada","sid":"sess_1","azp":")" + party +
                         R"(","iat":)" + std::to_string(now) + R"(,"nbf":)" + std::to_string(now - 1) + R"(,"exp":)" +
                         std::to_string(now + 60) + "}");
  };
  Browser ada(platform.daemon.proxyPort());
  const Response page = ada.open(ada.url("console", "/auth/login?return=" + ada.url("alice", "/x")));
  CHECK(page.body.find("https://clerk.example.com/npm/@clerk/clerk-js@5/") != std::string::npos);
  CHECK(page.body.find("data-return=\"" + ada.url("alice", "/x") + "\"") != std::string::npos);
  CHECK(page.headers.at("content-security-policy").find("script-src 'self' https://clerk.example.com") !=
        std::string::npos);
  CHECK(ada.fetch("GET", "console", "/auth/clerk.js", "console").status == 200);

  const auto post = [&](const std::string &token, const std::string &from, const char *type = "application/json") {
    return ada.fetch("POST", "console", "/auth/clerk", from, {{"Content-Type", type}}, R"({"token":")" + token + "\"}")
        .status;
  };
  const std::string good = tokenOf("http://console.localhost");
  CHECK(post(tokenOf("http://alice.localhost"), "console") == 401);
  CHECK(post(good + "x", "console") == 401);
  CHECK(post(good, "alice") == 403);
  CHECK(post(good, "console", "text/plain") == 400);
  CHECK(ada.cookie("console", "matrixos").empty());
  CHECK(post(good, "console") == 200);
  CHECK(ada.open(ada.url("alice", "/x")).body == "an instance");
  CHECK(platform.daemon.log().find(good) == std::string::npos);
}
