// Which keys are ones.
#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <identity/oidc/KeyTable.h>
#include <identity/oidc/PublicKey.h>
#include <support/SigningKey.h>

#include <string>

using namespace matrixos;
using identity::KeyTable;
using identity::PublicKey;
using test::SigningKey;
using Kind = SigningKey::Kind;

namespace {

identity::Json jwkOf(const SigningKey &key) {
  return identity::parseStrictObject(key.jwk());
}

bool isKey(const identity::Json &jwk) {
  return PublicKey::fromJwk(jwk).has_value();
}

/// The key with a member that is another one; null takes it away.
identity::Json with(identity::Json jwk, const char *name, const identity::Json &value) {
  jwk[name] = value;
  if (value.is_null()) jwk.erase(name);
  return jwk;
}

std::string reasonOf(const std::string &keys) {
  try {
    KeyTable::ofJwks(identity::parseStrictObject(keys));
    return {};
  } catch (const Error &e) {
    return e.reason();
  }
}

} // namespace

TEST_CASE("a key is one of four kinds, and strong enough") {
  CHECK(isKey(jwkOf(SigningKey(Kind::Rsa))));
  CHECK(isKey(jwkOf(SigningKey(Kind::P256))));
  CHECK(isKey(jwkOf(SigningKey(Kind::Ed25519))));
  CHECK_FALSE(isKey(jwkOf(SigningKey(Kind::P384))));
  CHECK_FALSE(isKey(jwkOf(SigningKey(Kind::Rsa, "k1", 1024))));
  CHECK_FALSE(isKey(jwkOf(SigningKey(Kind::Rsa, "k1", 2040))));
  for (const char *text : {R"({"kty":"oct","k":"c2VjcmV0"})", R"({"kty":"oct","k":"c2VjcmV0","alg":"HS256"})", "{}",
                           R"({"kty":1})", R"({"kty":"rsa"})", R"({"kty":"RSA"})", R"({"kty":"RSA","n":1,"e":"AQAB"})"})
    CHECK_FALSE(isKey(identity::parseStrictObject(text)));
  CHECK_FALSE(isKey(identity::Json::array()));
}

TEST_CASE("the numbers of a key are those of a key") {
  const identity::Json rsa = jwkOf(SigningKey(Kind::Rsa)), ec = jwkOf(SigningKey(Kind::P256)),
                       edwards = jwkOf(SigningKey(Kind::Ed25519));
  for (const char *e : {"", "AQ", "Ag", "AQAA", "AAAAAAAAAAAAAAAAAQAB", "AQAB=", "AQ+B", "AQAC"})
    CHECK_FALSE(isKey(with(rsa, "e", e)));
  CHECK(isKey(with(rsa, "e", "Aw")));
  CHECK_FALSE(isKey(with(rsa, "n", std::string(3000, 'x'))));
  CHECK_FALSE(isKey(with(rsa, "n", "")));
  const std::string x = ec.at("x");
  for (const std::string &other : {std::string(), x + "AA", x.substr(1), std::string("AA") + x, std::string(43, 'A')}) {
    CHECK_FALSE(isKey(with(ec, "x", other)));
    CHECK_FALSE(isKey(with(ec, "y", other)));
  }
  CHECK_FALSE(isKey(with(ec, "crv", "P-384")));
  CHECK_FALSE(isKey(with(ec, "crv", "secp256k1")));
  CHECK_FALSE(isKey(with(ec, "crv", nullptr)));
  CHECK_FALSE(isKey(with(edwards, "crv", "X25519")));
  CHECK_FALSE(isKey(with(edwards, "crv", "Ed448")));
  CHECK_FALSE(isKey(with(edwards, "x", "AAAA")));
}

TEST_CASE("a key serves what its owner says") {
  const identity::Json key = jwkOf(SigningKey(Kind::Rsa)), ec = jwkOf(SigningKey(Kind::P256));
  CHECK(isKey(with(key, "use", "sig")));
  CHECK(isKey(with(key, "key_ops", {"verify"})));
  CHECK(isKey(with(key, "key_ops", {"sign", "verify"})));
  CHECK(isKey(with(key, "alg", "RS256")));
  for (const identity::Json &use : {identity::Json("enc"), identity::Json(""), identity::Json(1)})
    CHECK_FALSE(isKey(with(key, "use", use)));
  for (const identity::Json &operations :
       {identity::Json::array(), identity::Json({"encrypt"}), identity::Json("verify"), identity::Json({"wrapKey", 1})})
    CHECK_FALSE(isKey(with(key, "key_ops", operations)));
  for (const char *alg : {"RS384", "RS512", "PS384", "RSA-OAEP", "HS256", "none", "ES256"})
    CHECK_FALSE(isKey(with(key, "alg", alg)));
  CHECK_FALSE(isKey(with(key, "alg", 1)));
  CHECK(PublicKey::fromJwk(with(key, "alg", "PS256"))->algorithm() == PublicKey::Algorithm::Ps256);
  CHECK_FALSE(isKey(with(ec, "alg", "PS256")));
  CHECK_FALSE(isKey(with(ec, "alg", "ES384")));
}

TEST_CASE("a PEM file has one public key") {
  for (const Kind kind : {Kind::Rsa, Kind::P256, Kind::Ed25519})
    CHECK_NOTHROW(PublicKey::fromPem(SigningKey(kind).publicPem()));
  const SigningKey key;
  for (const std::string &text : {std::string(), std::string("key"), key.privatePem(), key.jwk(),
                                  SigningKey(Kind::P384).publicPem(), SigningKey(Kind::Rsa, "", 1024).publicPem()})
    CHECK_THROWS_WITH_AS(PublicKey::fromPem(text),
                         "this is no public key in PEM form: RSA of 2048 to 8192 bits, EC on P-256, or Ed25519", Error);
}

TEST_CASE("a set leaves out keys that are not for us, and has some") {
  const SigningKey key;
  CHECK(reasonOf(R"({"keys":[{"kty":"oct","k":"AA"},7,null,)" + key.jwk() + "]}") == "");
  for (const std::string &keys : {std::string("{}"), std::string(R"({"keys":{}})"), std::string(R"({"keys":[]})"),
                                  R"({"keys":[)" + SigningKey(Kind::P384).jwk() + "]}", key.jwk()})
    CHECK(reasonOf(keys) == "BAD_KEYS");
  std::string many = key.jwk();
  for (int i = 0; i < 64; ++i)
    many += "," + key.jwk();
  CHECK(reasonOf(R"({"keys":[)" + many + "]}") == "BAD_KEYS");
}
