#include "Credential.h"

#include <http/codec/Bearer.h>

namespace matrixos::gateway {

Credential credentialOf(const http::FieldList &fields) noexcept {
  Credential out;
  for (const http::Field &field : fields) {
    const bool bearer = field.id == http::Name::Authorization;
    if (!bearer && !http::sameAsLower(field.name, "x-api-key")) continue;
    std::string_view text = bearer ? http::bearerToken(field.value) : http::trim(field.value);
    if (text.empty()) text = field.value; // another scheme: it is a credential, and not a good one
    if (text.empty()) continue;           // SDKs send an empty x-api-key beside a bearer token
    if (out.kind != Credential::Kind::None && out.text != text) return {Credential::Kind::Two, {}, false};
    out.text = text;
    out.isBearer = out.isBearer || bearer;
    out.kind = Credential::Kind::Other;
  }
  if (http::isInstanceToken(out.text)) out.kind = Credential::Kind::Instance;
  if (out.text.substr(0, kOwnKeyPrefix.size()) == kOwnKeyPrefix) out.kind = Credential::Kind::OwnKey;
  return out;
}

} // namespace matrixos::gateway
