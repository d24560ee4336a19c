#include "fuzz/identity/Checks.h"

#include <matrixos/status.hpp>

#include <identity/oidc/Claims.h>
#include <identity/oidc/JsonWebToken.h>
#include <identity/oidc/KeyTable.h>

#include <stdexcept>
#include <string>

namespace matrixos::identity::fuzz {

namespace {

/// Those of RFC 7515 A.3 and RFC 8037 A.4; whoever reads them can sign.
constexpr const char *kKeys =
    R"({"keys":[{"kty":"EC","kid":"ec","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},)"
    R"({"kty":"OKP","kid":"ed","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})";
/// Signed by the first of them: RFC 7515 A.3, the only claims that come out.
constexpr const char *kIssuer = "joe";

void readToken(std::string_view bytes) {
  static const KeyTable table = KeyTable::ofJwks(parseStrictObject(kKeys));
  const JsonWebToken token = JsonWebToken::parse(bytes);
  const PublicKey *key = table.find(token);
  if (key == nullptr) return;
  const Claims claims(token.claims(*key));
  if (claims.text("iss") != kIssuer) throw std::logic_error("a token is believed that nobody signed");
  claims.checkTimes(0, std::chrono::seconds{0});
  claims.user();
}

} // namespace

void checkToken(std::string_view bytes) {
  try {
    readToken(bytes);
  } catch (const Error &) {
  }
  try {
    PublicKey::fromJwk(parseStrictObject(bytes));
  } catch (const Error &) {
  }
}

} // namespace matrixos::identity::fuzz
