#include "IdToken.h"

#include "Encoding.h"
#include "Issuer.h"
#include "JsonWebToken.h"
#include "KeySet.h"
#include "Refusal.h"

#include <matrixos/host/config.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::identity {

namespace {

constexpr std::chrono::seconds kSkew{60};

/// Other tokens of the same issuer say what they are: "at+jwt", "logout+jwt" (RFC 8725 §3.11).
void checkType(const JsonWebToken &token) {
  if (!http::sameText(token.headerText("typ").value_or("JWT"), "JWT"))
    throw refusal("WRONG_TYPE", "The provider sent another kind of token than one for signing in");
}

void checkAudience(const Claims &claims, const std::string &clientId) {
  const auto audience = claims.texts("aud");
  const auto party = claims.text("azp");
  const bool isForUs = std::find(audience.begin(), audience.end(), clientId) != audience.end();
  if (!isForUs) throw refusal("WRONG_AUDIENCE", "The sign-in token is for another application");
  if (party ? *party != clientId : audience.size() > 1)
    throw refusal("WRONG_PARTY", "The sign-in token was given to another application");
}

/// OpenID Connect Core §3.1.3.6. The hash is that of the signature; that of Ed25519 is SHA-512.
void checkAccessToken(const Claims &claims, const std::string &accessToken, PublicKey::Algorithm algorithm) {
  const auto expected = claims.text("at_hash");
  if (!expected) return;
  const std::string hash = algorithm == PublicKey::Algorithm::EdDsa ? sha512(accessToken) : sha256(accessToken);
  if (!Secret(*expected).equals(base64Url(std::string_view(hash).substr(0, hash.size() / 2))))
    throw refusal("WRONG_ACCESS_TOKEN", "The sign-in token belongs to another access token");
}

} // namespace

Claims checkIdToken(const std::string &text, const IdTokenRules &rules, const Issuer &issuer, KeySet &keys) {
  const JsonWebToken token = JsonWebToken::parse(text);
  checkType(token);
  const auto key = keys.find(token);
  const Claims claims(token.claims(*key));
  if (claims.text("iss") != issuer.name()) throw refusal("WRONG_ISSUER", "The sign-in token is of another provider");
  checkAudience(claims, rules.clientId);
  claims.checkTimes(issuer.world().wallMs(), kSkew);
  if (!claims.has("iat")) throw refusal("BAD_CLAIM", "The sign-in token does not say when it was made");
  if (!Secret(rules.nonce).equals(claims.text("nonce").value_or("")))
    throw refusal("WRONG_NONCE", "The sign-in token belongs to another sign-in; sign in again");
  checkAccessToken(claims, rules.accessToken, key->algorithm());
  claims.subject();
  return claims;
}

} // namespace matrixos::identity
