// JSON Web Tokens: published vectors, and tricks, each of which one check alone stops.
#include "fuzz/Replay.h"
#include "fuzz/identity/Checks.h"

#include <matrixos/status.hpp>
#include <matrixos/text/base64.hpp>

#include <doctest/doctest.h>
#include <identity/oidc/JsonWebToken.h>
#include <identity/oidc/KeyTable.h>
#include <identity/oidc/PublicKey.h>
#include <support/SigningKey.h>

#include <iterator>
#include <string>

using namespace matrixos;
using identity::JsonWebToken;
using identity::KeyTable;
using identity::PublicKey;
using test::SigningKey;

namespace {

constexpr const char *kClaims = R"({"sub":"user-1"})";

PublicKey keyOf(const std::string &jwk) {
  auto key = PublicKey::fromJwk(identity::parseStrictObject(jwk));
  REQUIRE(key.has_value());
  return *std::move(key);
}

/// Why a token is refused by somebody who has this key; "" when it is not.
std::string refusalOf(const std::string &token, const PublicKey &key) {
  try {
    JsonWebToken::parse(token).claims(key);
    return {};
  } catch (const Error &e) {
    CHECK(e.status() == Status::Unauthenticated);
    return e.reason();
  }
}

std::string refusalOf(const std::string &token, const SigningKey &key) {
  return refusalOf(token, keyOf(key.jwk()));
}

/// A token with that signature, whatever it is.
std::string withSignature(const std::string &header, const std::string &signature) {
  return test::base64Url(header) + "." + test::base64Url(kClaims) + "." + signature;
}

constexpr const char *kEs256Header = R"({"alg":"ES256","kid":"k1"})";

/// RFC 7515 A.2 and A.3 sign the same claims.
constexpr const char *kJoe =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

} // namespace

TEST_CASE("the tokens of RFC 7515 A.2 and A.3 are verified, and none with another bit") {
  struct Vector {
    const char *jwk, *header, *signature;
  };
  const Vector vectors[] = {
      {R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})",
       "eyJhbGciOiJSUzI1NiJ9",
       "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU"
       "Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d"
       "O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig"
       "cN_IoypGlUPQGe77Rw"},
      {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
       "eyJhbGciOiJFUzI1NiJ9",
       "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"}};
  for (const Vector &vector : vectors) {
    CAPTURE(vector.header);
    const PublicKey key = keyOf(vector.jwk);
    const std::string input = std::string(vector.header) + "." + kJoe;
    const identity::Json claims = JsonWebToken::parse(input + "." + vector.signature).claims(key);
    CHECK(claims.at("iss") == "joe");
    CHECK(claims.at("exp") == 1300819380);
    const std::string signature = base64Decode(vector.signature, Base64::Url).value();
    for (std::size_t bit = 0; bit < signature.size() * 8; ++bit) {
      std::string other = signature;
      other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
      REQUIRE_FALSE(key.verifies(input, other));
    }
    for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
      std::string other = input;
      other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
      REQUIRE_FALSE(key.verifies(other, signature));
    }
  }
}

TEST_CASE("the signature of RFC 8037 A.4 is verified") {
  const PublicKey key = keyOf(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
  const std::string input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  const std::string signature =
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
  CHECK(key.verifies(input, base64Decode(signature, Base64::Url).value()));
  // What it signs is a sentence and claims nothing.
  CHECK(refusalOf(input + "." + signature, key) == "MALFORMED_TOKEN");
}

TEST_CASE("a token of each algorithm is verified by its own key alone") {
  for (const auto kind :
       {SigningKey::Kind::Rsa, SigningKey::Kind::Pss, SigningKey::Kind::P256, SigningKey::Kind::Ed25519}) {
    const SigningKey key(kind), other(kind);
    CAPTURE(key.algorithm());
    CHECK(refusalOf(key.token(kClaims), key) == "");
    CHECK(refusalOf(key.token(kClaims), other) == "BAD_SIGNATURE");
  }
}

TEST_CASE("the key says which algorithm it has, never the token") {
  const SigningKey rsa(SigningKey::Kind::Rsa), ec(SigningKey::Kind::P256), edwards(SigningKey::Kind::Ed25519);
  for (const char *alg : {"none", "None", "NONE", "", "HS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA",
                          "rs256", "RS256 ", "ES256K"}) {
    CAPTURE(alg);
    const std::string header = std::string(R"({"alg":")") + alg + R"(","kid":"k1"})";
    CHECK(refusalOf(rsa.token(header, kClaims), rsa) == (*alg != '\0' ? "WRONG_ALGORITHM" : "MALFORMED_TOKEN"));
  }
  for (const char *alg : {"none", "HS256", "RS256", "ES384", "ES512", "EdDSA"})
    CHECK(refusalOf(ec.token(std::string(R"({"alg":")") + alg + "\"}", kClaims), ec) == "WRONG_ALGORITHM");
  CHECK(refusalOf(edwards.token(R"({"alg":"Ed25519"})", kClaims), edwards) == "");
  CHECK(refusalOf(edwards.token(R"({"alg":"Ed448"})", kClaims), edwards) == "WRONG_ALGORITHM");
}

TEST_CASE("no trick with a signature is one") {
  const SigningKey key;
  const std::string input = test::base64Url(kEs256Header) + "." + test::base64Url(kClaims);
  const std::string good = key.sign(input), zero(32, '\0');
  // The order of P-256: as good as zero.
  const std::string order = base64Decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE", Base64::Url).value();
  struct Trick {
    const char *what;
    std::string signature;
    const char *refused;
  };
  const Trick tricks[] = {
      {"it is right", good, ""},
      {"it is that of another key", SigningKey().sign(input), "BAD_SIGNATURE"},
      {"it is in the form that OpenSSL has", key.derSignature(input), "BAD_SIGNATURE"},
      {"its r is zero", zero + good.substr(32), "BAD_SIGNATURE"},
      {"its s is zero", good.substr(0, 32) + zero, "BAD_SIGNATURE"},
      {"both are zero (CVE-2022-21449)", zero + zero, "BAD_SIGNATURE"},
      {"its r is the order", order + good.substr(32), "BAD_SIGNATURE"},
      {"its s is the order", good.substr(0, 32) + order, "BAD_SIGNATURE"},
      {"both are the order", order + order, "BAD_SIGNATURE"},
      {"r is 1, s is the order less 1", std::string(31, '\0') + '\1' + order.substr(0, 31) + '\x50', "BAD_SIGNATURE"},
      {"its last byte is missing", good.substr(0, 63), "BAD_SIGNATURE"},
      {"it has a byte more", good + '\0', "BAD_SIGNATURE"},
      {"its numbers have a zero in front each", '\0' + good.substr(0, 32) + '\0' + good.substr(32), "BAD_SIGNATURE"},
      {"its numbers are swapped", good.substr(32) + good.substr(0, 32), "BAD_SIGNATURE"},
      {"there is r alone", good.substr(0, 32), "BAD_SIGNATURE"},
      {"it is one byte", "\1", "BAD_SIGNATURE"},
      {"it is empty", "", "MALFORMED_TOKEN"},
      {"it is long", std::string(9000, 'x'), "BAD_SIGNATURE"}};
  for (const Trick &trick : tricks) {
    CAPTURE(trick.what);
    CHECK(refusalOf(input + "." + test::base64Url(trick.signature), key) == trick.refused);
  }
  MESSAGE("row 45: " << std::size(tricks) << " variants");
}

TEST_CASE("a signature of RSA has the length of its key, and its own padding") {
  const SigningKey rsa(SigningKey::Kind::Rsa), pss(SigningKey::Kind::Pss);
  const std::string input = test::base64Url(R"({"alg":"RS256"})") + "." + test::base64Url(kClaims);
  const std::string good = rsa.sign(input);
  CHECK(keyOf(rsa.jwk()).verifies(input, good));
  for (const std::string &other :
       {'\0' + good, good.substr(1), good + '\0', good.substr(0, 255), std::string(256, '\0'), std::string(256, '\xff'),
        std::string(255, '\0') + '\1', std::string()})
    CHECK_FALSE(keyOf(rsa.jwk()).verifies(input, other));
  // PS256 with a key of RS256, and the other way round.
  CHECK_FALSE(keyOf(rsa.jwk(R"("alg":"RS256",)")).verifies(input, pss.sign(input)));
  CHECK_FALSE(keyOf(pss.jwk()).verifies(input, rsa.sign(input)));
}

TEST_CASE("HS256 with the public key as its secret is no signature") {
  const SigningKey key(SigningKey::Kind::Rsa);
  const std::string header = R"({"alg":"HS256","kid":"k1"})";
  // Whatever the 32 bytes are: the algorithm is wrong before anything is computed.
  const std::string token = withSignature(header, test::base64Url(test::sha256(key.publicPem() + header + kClaims)));
  CHECK(refusalOf(token, key) == "WRONG_ALGORITHM");
}

TEST_CASE("keys that a token brings along are not looked at") {
  const SigningKey ours, theirs(SigningKey::Kind::P256, "k1");
  const std::string jwk = theirs.jwk();
  for (const std::string &member :
       {R"("jwk":)" + jwk, std::string(R"("jku":"https://evil.example/jwks")"), R"("x5c":[")" + std::string("MIIB\"]"),
        std::string(R"("x5u":"https://evil.example/cert")"), std::string(R"("x5t":"AAAA")")}) {
    const std::string header = R"({"alg":"ES256","kid":"k1",)" + member + "}";
    CAPTURE(header);
    CHECK(refusalOf(theirs.token(header, kClaims), ours) == "BAD_SIGNATURE");
    CHECK(refusalOf(ours.token(header, kClaims), ours) == "");
  }
}

TEST_CASE("what is critical is not understood, whatever it is") {
  const SigningKey key;
  for (const char *crit : {R"(["b64"])", R"(["exp"])", "[]", "null", "1"}) {
    const std::string header = std::string(R"({"alg":"ES256","b64":true,"crit":)") + crit + "}";
    CHECK(refusalOf(key.token(header, kClaims), key) == "CRITICAL_HEADER");
  }
}

TEST_CASE("a kid is a name in a table and nothing else") {
  const SigningKey first(SigningKey::Kind::P256, "k1"), second(SigningKey::Kind::P256, "k2"),
      nameless(SigningKey::Kind::P256, "");
  const SigningKey rsa(SigningKey::Kind::Rsa, "k1");
  const auto table = [](const std::string &keys) {
    return KeyTable::ofJwks(identity::parseStrictObject(R"({"keys":[)" + keys + "]}"));
  };
  const auto token = [&](const std::string &header) { return JsonWebToken::parse(first.token(header, kClaims)); };
  const KeyTable two = table(first.jwk() + "," + second.jwk());
  CHECK(two.find(token(R"({"alg":"ES256","kid":"k1"})")) != nullptr);
  for (const char *kid :
       {"k3", "", "K1", "k1 ", "../k1", "/etc/passwd", "k1\\u0000", "' OR 1=1 --", "https://evil.example/k1"})
    CHECK(two.find(token(std::string(R"({"alg":"ES256","kid":")") + kid + "\"}")) == nullptr);
  // Without a kid there must be no choice.
  CHECK(two.find(token(R"({"alg":"ES256"})")) == nullptr);
  CHECK(table(first.jwk()).find(token(R"({"alg":"ES256"})")) != nullptr);
  CHECK(table(first.jwk() + "," + rsa.jwk()).find(token(R"({"alg":"ES256"})"))->algorithm() ==
        PublicKey::Algorithm::Es256);
  CHECK(table(nameless.jwk()).find(token(R"({"alg":"ES256","kid":"k1"})")) == nullptr);
  // One kid, two types (RFC 7517 §4.5), in whichever order.
  for (const std::string &both : {rsa.jwk() + "," + first.jwk(), first.jwk() + "," + rsa.jwk()})
    CHECK(table(both).find(token(R"({"alg":"ES256","kid":"k1"})"))->algorithm() == PublicKey::Algorithm::Es256);
  CHECK(refusalOf(first.token(R"({"alg":"ES256","kid":")" + std::string(257, 'k') + "\"}", kClaims), first) ==
        "MALFORMED_TOKEN");
  CHECK(KeyTable::ofPem(first.publicPem()).find(token(R"({"alg":"ES256","kid":"whatever"})")) != nullptr);
}

TEST_CASE("a token has one spelling") {
  const SigningKey key;
  const std::string good = key.token(kClaims);
  const std::size_t first = good.find('.'), second = good.rfind('.');
  const std::string header = good.substr(0, first), payload = good.substr(first + 1, second - first - 1),
                    signature = good.substr(second + 1);
  REQUIRE(refusalOf(good, key) == "");
  for (const std::string &odd : {std::string(),
                                 std::string("."),
                                 std::string(".."),
                                 std::string("..."),
                                 good + ".",
                                 "." + good,
                                 good + "..",
                                 header + "." + payload,
                                 header + "." + payload + ".",
                                 "." + payload + "." + signature,
                                 header + "." + payload + "." + signature + "." + signature,
                                 good + "=",
                                 header + "=." + payload + "." + signature,
                                 good + " ",
                                 " " + good,
                                 good + "\n",
                                 "Bearer " + good,
                                 header + "\n." + payload + "." + signature,
                                 header + "." + payload + "." + signature.substr(0, 85) + "+",
                                 std::string(good).replace(5, 1, "/"),
                                 good + std::string(1, '\0'),
                                 std::string(20'000, 'A') + "." + payload + "." + signature}) {
    CAPTURE(odd);
    CHECK(refusalOf(odd, key) == "MALFORMED_TOKEN");
  }
  // Nobody reads what is empty: its signature is another one.
  CHECK(refusalOf(header + ".." + signature, key) == "BAD_SIGNATURE");
  CHECK(refusalOf(key.token(""), key) == "MALFORMED_TOKEN");
  // 86 characters hold four bits more than 64 bytes.
  std::string stray = good;
  stray.back() = stray.back() == 'A' || stray.back() == 'Q' || stray.back() == 'g' || stray.back() == 'w' ? 'B' : 'C';
  CHECK(refusalOf(stray, key) == "MALFORMED_TOKEN");
}

TEST_CASE("header and claims are JSON that everybody reads alike") {
  const SigningKey key;
  for (const std::string &header :
       {std::string("{}"),
        std::string("[]"),
        std::string("null"),
        std::string(R"("ES256")"),
        std::string(R"({"alg":1})"),
        std::string(R"({"alg":null})"),
        std::string(R"({"alg":["ES256"]})"),
        std::string(R"({"alg":"none","alg":"ES256"})"),
        std::string(R"({"alg":"ES256","\u0061lg":"none"})"),
        std::string(R"({"alg":"ES256","kid":1})"),
        std::string(R"({"alg":"ES256","kid":{}})"),
        std::string(R"({"alg":"ES256",})"),
        std::string(R"({'alg':'ES256'})"),
        std::string(R"({"alg":"ES256"}{})"),
        std::string(R"({"alg":"ES256"} x)"),
        std::string("\xef\xbb\xbf\xef\xbb\xbf{}"),
        std::string("{\"alg\":\"ES256\"}\0{", 17),
        std::string("{\"alg\":\"ES256\",\"a\":\"\xff\"}"),
        std::string(R"({/**/"alg":"ES256"})"),
        std::string(R"({"alg":"ES256","a":)") + std::string(20, '[') + std::string(20, ']') + "}"}) {
    CAPTURE(header);
    CHECK(refusalOf(key.token(header, kClaims), key) == "MALFORMED_TOKEN");
  }
  for (const std::string &claims :
       {std::string("x"), std::string("[]"), std::string("1"), std::string(R"({"sub":"a","sub":"b"})"),
        std::string(R"({"sub":"a","o":{"x":1,"x":2}})"), std::string(R"({"exp":1e999})"),
        std::string(R"({"exp":0x10})"), std::string(R"({"exp":NaN})"), std::string(R"({"exp":01})"),
        std::string("{\"sub\":\"\xc0\x80\"}"), std::string(R"({"sub":"\ud800"})"), std::string("{\"sub\":\"a\nb\"}")}) {
    CAPTURE(claims);
    CHECK(refusalOf(key.token(claims), key) == "MALFORMED_TOKEN");
  }
}

TEST_CASE("what a token claims is not read before its signature is verified") {
  const SigningKey ours, theirs;
  CHECK(refusalOf(theirs.token("no JSON"), ours) == "BAD_SIGNATURE");
}

TEST_CASE("the corpus of tokens, and mutants of it, are read or refused") {
  fuzz::replay(MATRIXOS_IDENTITY_CORPUS "/token", identity::fuzz::checkToken, 10);
}
