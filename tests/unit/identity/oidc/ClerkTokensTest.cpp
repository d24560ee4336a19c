// Tokens in the shape of Clerk's, made with keys of tests.
#include "Stage.h"

#include <matrixos/text/base64.hpp>

#include <doctest/doctest.h>
#include <identity/oidc/ClerkTokens.h>
#include <support/TempDir.h>

#include <functional>
#include <iterator>
#include <memory>
#include <string>

using namespace matrixos;
using namespace matrixos::test;
using identity::ClerkTokens;
using identity::ProviderUser;
using Json = MockIssuer::Json;

namespace {

const SigningKey &clerkKey() {
  static const SigningKey key(SigningKey::Kind::Rsa, "ins_1");
  return key;
}

struct Clerk : Stage {
  Clerk() : Stage(clerkKey()) {
    issuer.mint = nullptr;
    claims = {{"iss", "https://issuer.example"},
              {"sub", "user_1"},
              {"sid", "sess_1"},
              {"azp", "https://console.example"},
              {"iat", issuer.now - 5},
              {"nbf", issuer.now - 15},
              {"exp", issuer.now + 55},
              {"v", 2}};
  }

  Json header = {{"alg", "RS256"}, {"typ", "JWT"}, {"kid", "ins_1"}, {"cat", "cl_B7d4PD111AAA"}};
  Json claims;
  /// issuer.example
  ClerkTokens::Settings settings{"pk_live_" + base64Encode("issuer.example$"), "", {}, {"https://console.example"}};

  std::string token() const { return issuer.key.token(header.dump(), claims.dump()); }
  ProviderUser redeem() {
    if (!tokens_) tokens_ = std::make_unique<ClerkTokens>(settings, world());
    return tokens_->redeem(token());
  }
  std::string refusal() {
    const Error error = errorOf([this] { redeem(); });
    CHECK(std::string(error.what()).find("eyJ") == std::string::npos);
    return error.reason();
  }
  void renew() { tokens_.reset(); }

private:
  std::unique_ptr<ClerkTokens> tokens_;
};

} // namespace

TEST_CASE_FIXTURE(Clerk, "a session token of Clerk's says who it is") {
  claims["email"] = "alice@ok.com";
  claims["email_verified"] = true;
  claims["username"] = "alice";
  const ProviderUser user = redeem();
  CHECK(user.id == "user_1");
  CHECK(user.email == "alice@ok.com");
  CHECK(user.emailVerified);
  CHECK(user.username == "alice");
  CHECK(user.claims.find("sid")->second == "sess_1");
  CHECK(user.claims.count("act") == 0);
  redeem();
  CHECK(issuer.asked("/.well-known/jwks.json") == 1);
  CHECK(issuer.requests().size() == 1);
  CHECK(notes() == "");
}

TEST_CASE_FIXTURE(Clerk, "each of Clerk's rules has a token that breaks it alone") {
  struct Case {
    bool inHeader;
    const char *name;
    Json value;
    const char *refused;
  };
  const std::int64_t now = issuer.now;
  const Case cases[] = {{true, "typ", nullptr, ""},
                        {true, "typ", "JWS", "WRONG_TYPE"},
                        {true, "typ", "at+jwt", "WRONG_TYPE"},
                        {true, "alg", "RS512", "WRONG_ALGORITHM"},
                        {true, "alg", "PS256", "WRONG_ALGORITHM"},
                        {true, "alg", "ES256", "WRONG_ALGORITHM"},
                        {true, "alg", "HS256", "WRONG_ALGORITHM"},
                        {true, "alg", "none", "WRONG_ALGORITHM"},
                        {true, "kid", "ins_2", "UNKNOWN_KEY"},
                        {true, "kid", "../ins_1", "UNKNOWN_KEY"},
                        {true, "cat", nullptr, ""},
                        {true, "cat", "cl_I7d4PD111III", ""},
                        {true, "cat", "cl_B7d4PD222BBB", "WRONG_CATEGORY"},
                        {true, "cat", "", "WRONG_CATEGORY"},
                        {true, "cat", 1, "MALFORMED_TOKEN"},
                        {true, "crit", {"cat"}, "CRITICAL_HEADER"},
                        {false, "sub", nullptr, "NO_SUBJECT"},
                        {false, "sub", 1, "NO_SUBJECT"},
                        {false, "sub", "", "NO_SUBJECT"},
                        {false, "azp", nullptr, "WRONG_PARTY"},
                        {false, "azp", "", "WRONG_PARTY"},
                        {false, "azp", "https://alice.example", "WRONG_PARTY"},
                        {false, "azp", "https://console.example.evil.example", "WRONG_PARTY"},
                        {false, "azp", "https://console.example/", "WRONG_PARTY"},
                        {false, "azp", "http://console.example", "WRONG_PARTY"},
                        {false, "azp", {"https://console.example"}, "BAD_CLAIM"},
                        {false, "exp", now - 4, ""},
                        {false, "exp", now - 5, "TOKEN_EXPIRED"},
                        {false, "exp", nullptr, "BAD_CLAIM"},
                        {false, "exp", std::to_string(now), "BAD_CLAIM"},
                        {false, "nbf", now + 5, ""},
                        {false, "nbf", now + 6, "TOKEN_NOT_YET_VALID"},
                        {false, "nbf", nullptr, ""},
                        {false, "iat", now + 5, ""},
                        {false, "iat", now + 6, "TOKEN_NOT_YET_VALID"},
                        {false, "iss", nullptr, "WRONG_ISSUER"},
                        {false, "iss", "https://other.example", "WRONG_ISSUER"},
                        {false, "iss", "https://issuer.example/", "WRONG_ISSUER"},
                        {false, "sts", "active", ""},
                        {false, "sts", "pending", "SESSION_PENDING"},
                        {false, "sts", "new", "SESSION_PENDING"},
                        {false, "sid", nullptr, "NO_SESSION"},
                        {false, "sid", "", "NO_SESSION"},
                        {false, "sid", 1, "BAD_CLAIM"}};
  const Json goodHeader = header, goodClaims = claims;
  for (const Case &one : cases) {
    header = goodHeader;
    claims = goodClaims;
    Json &changed = one.inHeader ? header : claims;
    changed[one.name] = one.value;
    if (one.value.is_null()) changed.erase(one.name);
    CAPTURE(one.name);
    CAPTURE(one.value.dump());
    CHECK(refusal() == one.refused);
  }
  MESSAGE("rows 45 and 46: " << std::size(cases) << " variants");
}

TEST_CASE_FIXTURE(Clerk, "row 47: that a token was good says nothing of another one, nor of itself later") {
  const std::string good = token();
  int variants = 0;
  ClerkTokens kept(settings, world()); // it has seen the good one just before
  const auto refused = [&](const std::string &other) {
    ++variants;
    kept.redeem(good);
    return errorOf([&] { kept.redeem(other); }).status() == Status::Unauthenticated;
  };
  // Equal up to each of its characters.
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string other = good;
    other[at] = other[at] == 'A' ? 'B' : 'A';
    CHECK_MESSAGE(refused(other), at);
  }
  for (std::size_t length = 0; length < good.size(); length += 7)
    CHECK(refused(good.substr(0, length)));
  // The same claims by a stranger, other claims with the same signature.
  const std::size_t payload = good.find('.') + 1, signature = good.rfind('.') + 1;
  const SigningKey stranger(SigningKey::Kind::Rsa, "ins_1");
  CHECK(refused(stranger.token(header.dump(), claims.dump())));
  claims["sub"] = "user_2";
  CHECK(refused(good.substr(0, payload) + base64Url(claims.dump()) + good.substr(signature - 1)));
  CHECK(refused(good.substr(0, signature) + stranger.token("x").substr(stranger.token("x").rfind('.') + 1)));
  issuer.now += 60; // and the same token, when it has expired
  CHECK(errorOf([&] { kept.redeem(good); }).reason() == "TOKEN_EXPIRED");
  MESSAGE("row 47: " << variants + 1 << " variants");
}

TEST_CASE_FIXTURE(Clerk, "the key of another application with the same name is none") {
  const SigningKey other(SigningKey::Kind::Rsa, "ins_1");
  CHECK(errorOf([&] { ClerkTokens(settings, world()).redeem(other.token(header.dump(), claims.dump())); }).reason() ==
        "BAD_SIGNATURE");
}

TEST_CASE_FIXTURE(Clerk, "who acts for a user is noted") {
  claims["act"] = {{"sub", "user_boss"}, {"iss", "https://dashboard.example"}};
  CHECK(redeem().claims.find("act")->second == "user_boss");
  CHECK(notes() == "user_boss signs in as user_1 at Clerk\n");
  claims["act"] = "x";
  CHECK(redeem().claims.find("act")->second == "somebody");
  claims["act"] = Json::object();
  CHECK(refusal() == "NO_SUBJECT");
}

TEST_CASE_FIXTURE(Clerk, "a PEM file is enough, and nobody is asked") {
  const TempDir dir;
  writeFile(dir / "clerk.pem", clerkKey().publicPem());
  settings.keys.publicKeyFile = (dir / "clerk.pem").string();
  down = true;
  CHECK(redeem().id == "user_1");
  settings.publishableKey.clear();
  settings.issuer = "https://issuer.example";
  renew();
  CHECK(redeem().id == "user_1");
}

TEST_CASE("a publishable key names the frontend API") {
  CHECK(ClerkTokens::frontendApi("pk_test_" + base64Encode("great-cat-1.clerk.accounts.dev$")) ==
        "great-cat-1.clerk.accounts.dev");
  CHECK(ClerkTokens::frontendApi("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k") == "clerk.example.com");
  for (const std::string &key :
       {std::string(), std::string("pk_live_"), std::string("pk_live_Y2xlcmsuZXhhbXBsZS5jb20"),
        "sk_live_" + base64Encode("clerk.example.com$"), "pk_live_" + base64Encode("clerk.example.com"),
        "pk_live_" + base64Encode("$"), "pk_live_" + base64Encode("clerk.example.com/$"),
        "pk_live_" + base64Encode("user@clerk.example.com$"), "pk_live_" + base64Encode("clerk.example.com:1$"),
        "pk_live_" + base64Encode(".example.com$"), "pk_live_" + base64Encode("a..com$"),
        "pk_live_" + base64Encode("a b$")})
    CHECK(errorOf([&] { ClerkTokens::frontendApi(key); }).reason() == "BAD_PUBLISHABLE_KEY");
}

TEST_CASE_FIXTURE(Clerk, "settings that cannot work are none, and browsers are not sent anywhere") {
  const auto reason = [&](const std::function<void(ClerkTokens::Settings &)> &change) {
    ClerkTokens::Settings other = settings;
    change(other);
    return errorOf([&] { ClerkTokens(other, world()); }).reason();
  };
  CHECK(reason([](auto &) {}) == "");
  CHECK(reason([](auto &other) { other.publishableKey.clear(); }) == "BAD_PUBLISHABLE_KEY");
  CHECK(reason([](auto &other) { other.authorizedParties.clear(); }) == "NO_PARTIES");
  CHECK(reason([](auto &other) { other.issuer = "http://issuer.example"; }) == "BAD_ISSUER");
  ClerkTokens tokens(settings, world());
  CHECK(errorOf([&] { tokens.begin("x"); }).status() == Status::Unimplemented);
  CHECK(errorOf([&] { tokens.finish({}, "", "x"); }).status() == Status::Unimplemented);
}
