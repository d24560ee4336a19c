// The code flow with an issuer that tells the truth, and with ones that do not.
#include "Stage.h"

#include <doctest/doctest.h>
#include <identity/oidc/OpenIdProvider.h>

#include <functional>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::test;
using identity::OpenIdProvider;
using identity::ProviderUser;
using identity::SignInStart;
using Json = MockIssuer::Json;
using Query = std::multimap<std::string, std::string>;
using Kind = SigningKey::Kind;

namespace {

constexpr const char *kCallback = "https://console.example/auth/callback";

struct Flow : Stage {
  explicit Flow(SigningKey key = SigningKey()) : Stage(std::move(key)) {}

  OpenIdProvider::Settings settings{issuer.name(), issuer.clientId, issuer.clientSecret, {"email", "profile"}, {}};
  std::unique_ptr<OpenIdProvider> provider;
  SignInStart start;

  OpenIdProvider &made() {
    if (!provider) provider = std::make_unique<OpenIdProvider>(settings, world());
    return *provider;
  }
  /// What the browser brings back.
  Query answered() {
    start = made().begin(kCallback);
    return {{"code", issuer.code(start.location)}, {"state", start.state}, {"iss", issuer.name()}};
  }
  ProviderUser signIn() {
    const Query query = answered();
    return made().finish(query, start.secret, kCallback);
  }
  /// Why nobody is signed in; what people read of it holds nothing that is secret.
  std::string refusal() {
    return reasonOf([this] { signIn(); });
  }
  std::string refusal(const std::function<void(Query &)> &change) {
    return reasonOf([&] {
      Query query = answered();
      change(query);
      made().finish(query, start.secret, kCallback);
    });
  }

private:
  std::string reasonOf(const std::function<void()> &action) const {
    const Error error = errorOf(action);
    for (const std::string &text : {std::string(error.what()), notes()}) {
      CHECK(text.find("s3cr") == std::string::npos);
      CHECK(text.find("access-1") == std::string::npos);
      CHECK(text.find("eyJ") == std::string::npos);
    }
    CHECK(std::string(error.what()).find("10.0.0.7") == std::string::npos);
    return error.reason();
  }
};

void set(Query &query, const char *name, const std::string &value) {
  query.erase(name);
  query.emplace(name, value);
}

} // namespace

TEST_CASE_FIXTURE(Flow, "a sign-in begins at the provider with what its end is held against") {
  issuer.discovery["authorization_endpoint"] = "https://issuer.example/authorize?tenant=a";
  const SignInStart first = made().begin(kCallback), second = made().begin(kCallback);
  CHECK(first.location.rfind("https://issuer.example/authorize?tenant=a&response_type=code&", 0) == 0);
  const Query query = formDecode(first.location.substr(first.location.find('?') + 1));
  CHECK(valueOf(query, "client_id") == issuer.clientId);
  CHECK(valueOf(query, "redirect_uri") == kCallback);
  CHECK(valueOf(query, "scope") == "openid email profile");
  CHECK(valueOf(query, "code_challenge_method") == "S256");
  CHECK(valueOf(query, "state") == first.state);
  std::set<std::string> unguessable;
  for (const SignInStart &one : {first, second}) {
    const Query parameters = formDecode(one.location.substr(one.location.find('?') + 1));
    for (const char *name : {"state", "nonce", "code_challenge"}) {
      CHECK(valueOf(parameters, name).size() == 43);
      unguessable.insert(valueOf(parameters, name));
    }
  }
  CHECK(unguessable.size() == 6);
  // What proves the sign-in's beginning does not go through the browser.
  const std::string verifier = first.secret.substr(first.secret.rfind('.') + 1);
  CHECK(first.location.find(verifier) == std::string::npos);
  CHECK(test::base64Url(test::sha256(verifier)) == valueOf(query, "code_challenge"));
  CHECK(issuer.asked("/.well-known/openid-configuration") == 1);
}

TEST_CASE_FIXTURE(Flow, "who signs in is who the token says") {
  issuer.claims["preferred_username"] = "alice";
  issuer.claims["groups"] = {"staff", "admins", 7};
  issuer.claims["level"] = 3;
  const ProviderUser user = signIn();
  CHECK(user.id == "user-1");
  CHECK(user.email == "alice@ok.com");
  CHECK(user.emailVerified);
  CHECK(user.name == "Alice Example");
  CHECK(user.username == "alice");
  const auto groups = user.claims.equal_range("groups");
  CHECK(std::set<std::pair<const std::string, std::string>>(groups.first, groups.second) ==
        std::set<std::pair<const std::string, std::string>>{{"groups", "staff"}, {"groups", "admins"}});
  CHECK(user.claims.count("level") == 0);
  CHECK(issuer.asked("/userinfo") == 0);
  CHECK(notes() == "");
}

TEST_CASE("tokens of each kind of key are taken, with the hash of their access token") {
  for (const Kind kind : {Kind::Rsa, Kind::Pss, Kind::P256, Kind::Ed25519}) {
    Flow flow{SigningKey(kind)};
    CAPTURE(flow.issuer.key.algorithm());
    CHECK(flow.signIn().id == "user-1");
    flow.issuer.claims["at_hash"] = "wrong";
    CHECK(flow.refusal() == "WRONG_ACCESS_TOKEN");
    if (kind == Kind::Ed25519) continue;
    flow.issuer.claims["at_hash"] = test::base64Url(test::sha256("access-1").substr(0, 16));
    CHECK(flow.signIn().id == "user-1");
  }
}

TEST_CASE_FIXTURE(Flow, "each rule for tokens has one that breaks it alone") {
  struct Case {
    const char *claim;
    Json value;
    const char *refused;
  };
  const std::int64_t now = issuer.now;
  const Json us = issuer.clientId;
  const Case cases[] = {{"sub", "user-1", ""},
                        {"iss", "https://issuer.example/", "WRONG_ISSUER"},
                        {"iss", "https://ISSUER.example", "WRONG_ISSUER"},
                        {"iss", "https://other.example", "WRONG_ISSUER"},
                        {"iss", nullptr, "WRONG_ISSUER"},
                        {"iss", {issuer.name()}, "BAD_CLAIM"},
                        {"aud", "other", "WRONG_AUDIENCE"},
                        {"aud", "platform2", "WRONG_AUDIENCE"},
                        {"aud", {"other"}, "WRONG_AUDIENCE"},
                        {"aud", Json::array(), "WRONG_AUDIENCE"},
                        {"aud", nullptr, "WRONG_AUDIENCE"},
                        {"aud", {us, 1}, "BAD_CLAIM"},
                        {"aud", Json::object({{"0", us}}), "BAD_CLAIM"},
                        {"aud", Json::array({us}), ""},
                        {"aud", {us, "other"}, "WRONG_PARTY"},
                        {"azp", "platform", ""},
                        {"azp", "other", "WRONG_PARTY"},
                        {"azp", 1, "BAD_CLAIM"},
                        {"exp", now + 1, ""},
                        {"exp", now - 59, ""},
                        {"exp", static_cast<double>(now) + 0.5, ""},
                        {"exp", now - 60, "TOKEN_EXPIRED"},
                        {"exp", 0, "TOKEN_EXPIRED"},
                        {"exp", nullptr, "BAD_CLAIM"},
                        {"exp", std::to_string(now + 300), "BAD_CLAIM"},
                        {"exp", -1, "BAD_CLAIM"},
                        {"exp", 1e300, "BAD_CLAIM"},
                        {"exp", 18446744073709551615U, "BAD_CLAIM"},
                        {"exp", true, "BAD_CLAIM"},
                        {"exp", {now + 300}, "BAD_CLAIM"},
                        {"iat", now + 60, ""},
                        {"iat", now + 61, "TOKEN_NOT_YET_VALID"},
                        {"iat", nullptr, "BAD_CLAIM"},
                        {"iat", "1", "BAD_CLAIM"},
                        {"nbf", now + 60, ""},
                        {"nbf", now + 61, "TOKEN_NOT_YET_VALID"},
                        {"nbf", "1", "BAD_CLAIM"},
                        {"nonce", "other", "WRONG_NONCE"},
                        {"nonce", "", "WRONG_NONCE"},
                        {"nonce", nullptr, "WRONG_NONCE"},
                        {"nonce", 1, "BAD_CLAIM"},
                        {"at_hash", 1, "BAD_CLAIM"},
                        {"at_hash", "", "WRONG_ACCESS_TOKEN"},
                        {"sub", nullptr, "NO_SUBJECT"},
                        {"sub", "", "NO_SUBJECT"},
                        {"sub", 7, "NO_SUBJECT"},
                        {"sub", std::string(255, 'x'), ""},
                        {"sub", std::string(256, 'x'), "NO_SUBJECT"},
                        {"sub", "a\nb", "NO_SUBJECT"},
                        {"sub", std::string("a\0b", 3), "NO_SUBJECT"}};
  const Json good = issuer.claims;
  for (const Case &one : cases) {
    issuer.claims = good;
    issuer.claims[one.claim] = one.value;
    CAPTURE(one.claim);
    CAPTURE(one.value.dump());
    CHECK(refusal() == one.refused);
  }
  issuer.claims = good;
  issuer.claims["aud"] = {us, "other"};
  issuer.claims["azp"] = us;
  CHECK(refusal() == "");
  MESSAGE("row 46: " << std::size(cases) + 1 << " variants");
}

TEST_CASE_FIXTURE(Flow, "another token than one for signing in is refused, however well it is signed") {
  std::string header;
  issuer.mint = [&](const Json &claims) { return issuer.key.token(header, claims.dump()); };
  for (const char *type : {"JWT", "jwt"}) {
    header = std::string(R"({"alg":"ES256","kid":"k1","typ":")") + type + "\"}";
    CHECK(refusal() == "");
  }
  for (const char *type : {"at+jwt", "logout+jwt", "JWS", "", "application/at+jwt"}) {
    header = std::string(R"({"alg":"ES256","kid":"k1","typ":")") + type + "\"}";
    CHECK(refusal() == "WRONG_TYPE");
  }
  header = R"({"alg":"none","kid":"k1"})";
  CHECK(refusal() == "WRONG_ALGORITHM");
  header = R"({"alg":"HS256","kid":"k1"})";
  CHECK(refusal() == "WRONG_ALGORITHM");
  header = R"({"alg":"ES256","kid":"k9"})";
  CHECK(refusal() == "UNKNOWN_KEY");
  header = R"({"alg":"ES256","kid":"k1"})";
  const SigningKey stranger;
  issuer.mint = [&](const Json &claims) { return stranger.token(claims.dump()); };
  CHECK(refusal() == "BAD_SIGNATURE");
  issuer.mint = [](const Json &) { return std::string("a.b"); };
  CHECK(refusal() == "MALFORMED_TOKEN");
}

TEST_CASE_FIXTURE(Flow, "keys that change in the middle are found, those of before are not") {
  CHECK(refusal() == "");
  const SigningKey before = issuer.key;
  issuer.key = SigningKey(Kind::P256, "k2");
  issuer.keys = {{"keys", Json::array({Json::parse(issuer.key.jwk())})}};
  CHECK(refusal() == "");
  issuer.mint = [&](const Json &claims) { return before.token(claims.dump()); };
  CHECK(refusal() == "UNKNOWN_KEY");
}

TEST_CASE_FIXTURE(Flow, "only the answer to this sign-in ends it") {
  CHECK(refusal([](Query &) {}) == "");
  CHECK(refusal([](Query &query) { set(query, "state", "other"); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { set(query, "state", ""); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { query.erase("state"); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { query.emplace("state", "x"); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { query.emplace("code", "x"); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { query.erase("code"); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { set(query, "code", ""); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { set(query, "code", std::string(8193, 'x')); }) == "BAD_CALLBACK");
  CHECK(refusal([](Query &query) { set(query, "code", "forged"); }) == "CODE_REFUSED");
  // Somebody else's sign-in, its state put into this one's answer.
  const Query theirs = answered();
  CHECK(refusal([&](Query &query) { set(query, "code", valueOf(theirs, "code")); }) == "CODE_REFUSED");
  const Query query = answered();
  CHECK(made().finish(query, start.secret, kCallback).id == "user-1");
  CHECK(errorOf([&] { made().finish(query, start.secret, kCallback); }).reason() == "CODE_REFUSED");
  for (const char *secret : {"", ".", "..", "x", "a.b"})
    CHECK(errorOf([&] { made().finish(query, secret, kCallback); }).reason() == "BAD_CALLBACK");
  CHECK(errorOf([&] { made().finish(answered(), start.secret, "https://console.example/other"); }).reason() ==
        "CODE_REFUSED");
}

TEST_CASE_FIXTURE(Flow, "an answer names its issuer when the provider says that answers do") {
  CHECK(refusal([](Query &query) { query.erase("iss"); }) == "WRONG_ISSUER");
  CHECK(refusal([](Query &query) { set(query, "iss", "https://other.example"); }) == "WRONG_ISSUER");
  CHECK(refusal([](Query &query) { query.emplace("iss", "https://other.example"); }) == "BAD_CALLBACK");
  // Errors, too.
  CHECK(refusal([](Query &query) {
          query.erase("iss");
          set(query, "error", "access_denied");
        }) == "WRONG_ISSUER");
  provider.reset();
  issuer.discovery.erase("authorization_response_iss_parameter_supported");
  CHECK(refusal([](Query &query) { query.erase("iss"); }) == "");
  CHECK(refusal([](Query &query) { set(query, "iss", "https://other.example"); }) == "WRONG_ISSUER");
}

TEST_CASE_FIXTURE(Flow, "errors of the provider are told in words of ours") {
  const auto told = [&](const std::string &error) {
    Query query = answered();
    query.erase("code");
    set(query, "error", error);
    set(query, "error_description", "<script>alert(1)</script>");
    return errorOf([&] { made().finish(query, start.secret, kCallback); });
  };
  CHECK(told("access_denied").reason() == "ACCESS_DENIED");
  CHECK(told("temporarily_unavailable").status() == Status::Unavailable);
  CHECK(std::string(told("invalid_scope").what()) == "The provider did not sign you in: invalid_scope");
  for (const std::string &odd : {std::string("<b>"), std::string(41, 'a'), std::string("a b"), std::string("A")})
    CHECK(std::string(told(odd).what()) == "The provider did not sign you in: unknown error");
  CHECK(issuer.asked("/token") == 0);
}

TEST_CASE_FIXTURE(Flow, "the client shows its secret as the provider takes it") {
  const auto request = [&] {
    provider.reset();
    CHECK(refusal() == "");
    for (const FetchRequest &one : issuer.requests())
      if (one.method == "POST") return one;
    return FetchRequest{};
  };
  SUBCASE("in the header, where nothing is said") {
    CHECK(request().body.find("client_secret") == std::string::npos);
  }
  SUBCASE("in the header, where both are taken") {
    issuer.discovery["token_endpoint_auth_methods_supported"] = {"client_secret_post", "client_secret_basic"};
    CHECK(request().body.find("client_secret") == std::string::npos);
  }
  SUBCASE("in the form, where only that is taken") {
    issuer.discovery["token_endpoint_auth_methods_supported"] = {"private_key_jwt", "client_secret_post"};
    CHECK(request().body.find("client_secret=s3cr%3At%2F%C3%BC") != std::string::npos);
    CHECK(request().headers.size() == 2);
  }
  SUBCASE("nowhere, without one") {
    settings.clientSecret.clear();
    issuer.clientSecret.clear();
    CHECK(request().body.find("client_id=platform") != std::string::npos);
    CHECK(request().headers.size() == 2);
  }
}

TEST_CASE_FIXTURE(Flow, "a provider that does not know us says so to the operators") {
  settings.clientSecret = "s3cret-of-yesterday";
  CHECK(refusal() == "CLIENT_REFUSED");
  CHECK(notes().find("client_secret: invalid_client") != std::string::npos);
}

TEST_CASE_FIXTURE(Flow, "a discovery document is the issuer's own, with addresses that can be trusted") {
  CHECK(refusal() == "");
  const Json good = issuer.discovery;
  const auto refused = [&](const char *name, const Json &value) {
    issuer.discovery = good;
    issuer.discovery[name] = value;
    if (value.is_null()) issuer.discovery.erase(name);
    provider.reset();
    return refusal();
  };
  for (const char *name : {"https://issuer.example/", "https://other.example", "https://ISSUER.example", ""})
    CHECK(refused("issuer", name) == "BAD_ISSUER_ANSWER");
  CHECK(refused("issuer", nullptr) == "BAD_ISSUER_ANSWER");
  for (const char *name : {"authorization_endpoint", "token_endpoint", "jwks_uri"}) {
    CHECK(refused(name, nullptr) == "BAD_ISSUER_ANSWER");
    for (const Json &value : {Json("http://issuer.example/x"), Json("http://127.0.0.1/x"), Json("/x"), Json(7),
                              Json(""), Json("javascript:alert(1)"), Json("https://issuer.example/x#y"),
                              Json("https://user:pass@issuer.example/x"), Json("https://issuer.example/\r\nX: y")}) {
      CAPTURE(value.dump());
      CHECK(refused(name, value) == "BAD_ISSUER_ANSWER");
    }
  }
  CHECK(refused("userinfo_endpoint", "http://issuer.example/x") == "BAD_ISSUER_ANSWER");
  CHECK(refused("userinfo_endpoint", nullptr) == "");
  CHECK(refused("token_endpoint_auth_methods_supported", 7) == "");
  CHECK(refused("authorization_response_iss_parameter_supported", "true") == "");
}

TEST_CASE_FIXTURE(Flow, "a provider that does not answer as it should signs nobody in") {
  std::string path;
  FetchAnswer answer;
  issuer.before = [&](const FetchRequest &request, const std::string &asked) {
    CHECK(request.maxRedirects == 0);
    CHECK(request.maxBody.value_or(0) == 1024 * 1024);
    CHECK(request.timeout.value_or(std::chrono::hours{1}) == std::chrono::seconds{10});
    return asked == path ? answer : FetchAnswer{};
  };
  const FetchAnswer answers[] = {{302, {{"Location", "https://evil.example/"}}, ""},
                                 {200, {}, ""},
                                 {200, {}, "<html>"},
                                 {200, {}, "[]"},
                                 {200, {}, std::string(100'000, '[')},
                                 {200, {}, R"({"issuer":"https://issuer.example","issuer":"https://issuer.example"})"},
                                 {500, {}, "{}"},
                                 {204, {}, ""}};
  for (const char *asked : {"/.well-known/openid-configuration", "/jwks", "/token"}) {
    path = asked;
    for (const FetchAnswer &one : answers) {
      CAPTURE(path);
      CAPTURE(one.status);
      answer = one;
      provider.reset();
      CHECK(refusal() == "BAD_ISSUER_ANSWER");
    }
  }
  path = "/token";
  for (const char *body :
       {"{}", R"({"id_token":"x","token_type":"Bearer"})", R"({"access_token":"access-1","token_type":"Bearer"})",
        R"({"access_token":"access-1","id_token":"x.y.z","token_type":"mac"})",
        R"({"access_token":"access-1","id_token":7,"token_type":"Bearer"})"}) {
    answer = {200, {}, body};
    CHECK(refusal() == "BAD_ISSUER_ANSWER");
  }
  down = true;
  provider.reset();
  CHECK(refusal() == "ISSUER_UNREACHABLE");
}

TEST_CASE_FIXTURE(Flow, "discovery is kept for an hour, and longer while the issuer is down") {
  CHECK(refusal() == "");
  passed = std::chrono::minutes{59};
  CHECK_NOTHROW(made().begin(kCallback));
  CHECK(issuer.asked("/.well-known/openid-configuration") == 1);
  passed = std::chrono::minutes{61};
  down = true;
  CHECK_NOTHROW(made().begin(kCallback));
  down = false;
  passed = std::chrono::minutes{63};
  CHECK_NOTHROW(made().begin(kCallback));
  CHECK(issuer.asked("/.well-known/openid-configuration") == 2);
}

TEST_CASE_FIXTURE(Flow, "an address that the token lacks comes from the userinfo endpoint, of the same user alone") {
  issuer.claims.erase("email");
  issuer.claims.erase("email_verified");
  CHECK(signIn().email == "");
  issuer.userinfo = {{"sub", "user-1"}, {"email", "alice@info.com"}, {"email_verified", true}, {"name", "Mallory"}};
  const ProviderUser user = signIn();
  CHECK(user.email == "alice@info.com");
  CHECK(user.emailVerified);
  CHECK(user.name == "Alice Example");
  issuer.userinfo["iss"] = "https://other.example";
  CHECK(signIn().claims.find("iss")->second == issuer.name());
  for (const Json &sub : {Json("user-2"), Json(""), Json(), Json(7), Json("USER-1")}) {
    issuer.userinfo["sub"] = sub;
    const std::string reason = refusal();
    CHECK((reason == "WRONG_USERINFO" || reason == "NO_SUBJECT"));
  }
}

TEST_CASE_FIXTURE(Flow, "an address is one, and verified when the provider says so") {
  struct Case {
    Json email, verified;
    const char *taken;
    bool isVerified;
  };
  const Case cases[] = {{"a@ok.com", true, "a@ok.com", true},
                        {"a@ok.com", "true", "a@ok.com", true},
                        {"a@ok.com", false, "a@ok.com", false},
                        {"a@ok.com", "false", "a@ok.com", false},
                        {"a@ok.com", 1, "a@ok.com", false},
                        {"a@ok.com", "yes", "a@ok.com", false},
                        {"a@ok.com", nullptr, "a@ok.com", false},
                        {"a@evil@ok.com", true, "", false},
                        {"\"a@evil\"@ok.com", true, "", false},
                        {"@ok.com", true, "", false},
                        {"a@", true, "", false},
                        {"ok.com", true, "", false},
                        {"a@ok.com\n", true, "", false},
                        {"a b@ok.com", true, "", false},
                        {std::string(250, 'a') + "@ok.com", true, "", false},
                        {7, true, "", false},
                        {Json::array({"a@ok.com"}), true, "", false}};
  for (const Case &one : cases) {
    issuer.claims["email"] = one.email;
    issuer.claims["email_verified"] = one.verified;
    CAPTURE(one.email.dump());
    const ProviderUser user = signIn();
    CHECK(user.email == one.taken);
    CHECK(user.emailVerified == one.isVerified);
  }
  MESSAGE("row 48: " << std::size(cases) << " variants");
}

TEST_CASE_FIXTURE(Flow, "settings that cannot work are none, and tokens are not taken") {
  const auto reason = [&](const std::function<void(OpenIdProvider::Settings &)> &change) {
    OpenIdProvider::Settings other = settings;
    change(other);
    return errorOf([&] { OpenIdProvider(other, world()); }).reason();
  };
  CHECK(reason([](auto &) {}) == "");
  CHECK(reason([](auto &other) { other.clientId.clear(); }) == "NO_CLIENT");
  CHECK(reason([](auto &other) { other.issuer.clear(); }) == "BAD_ISSUER");
  CHECK(reason([](auto &other) { other.keys = {"", "a", "b"}; }) == "KEY_SOURCE");
  CHECK(errorOf([&] { made().redeem("x"); }).status() == Status::Unimplemented);
}
