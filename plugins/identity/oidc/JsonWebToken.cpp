#include "JsonWebToken.h"

#include "Encoding.h"
#include "PublicKey.h"
#include "Refusal.h"

namespace matrixos::identity {

namespace {

Error malformed() {
  return refusal("MALFORMED_TOKEN", "The sign-in token is malformed");
}

std::string decodePart(std::string_view text) {
  auto bytes = fromBase64Url(text);
  if (!bytes || bytes->empty()) throw malformed();
  return *std::move(bytes);
}

Json parsePart(std::string_view text) {
  try {
    return parseStrictObject(decodePart(text));
  } catch (const Error &) {
    throw malformed();
  }
}

} // namespace

JsonWebToken JsonWebToken::parse(std::string_view text) {
  if (text.size() > kMaxSize) throw malformed();
  const std::size_t first = text.find('.');
  const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos) throw malformed();
  JsonWebToken token;
  token.header_ = parsePart(text.substr(0, first));
  token.signed_ = text.substr(0, second);
  token.payloadAt_ = first + 1;
  token.signature_ = decodePart(text.substr(second + 1));
  token.algorithm_ = token.headerText("alg").value_or("");
  token.kid_ = token.headerText("kid");
  if (token.algorithm_.empty() || (token.kid_ && token.kid_->size() > kMaxKid)) throw malformed();
  if (token.header_.contains("crit"))
    throw refusal("CRITICAL_HEADER", "The sign-in token asks for an extension that is not supported");
  return token;
}

std::optional<std::string> JsonWebToken::headerText(const char *name) const {
  if (!header_.contains(name)) return std::nullopt;
  const std::string *text = textIn(header_, name);
  if (text == nullptr) throw malformed();
  return *text;
}

Json JsonWebToken::claims(const PublicKey &key) const {
  if (!key.isCalled(algorithm_))
    throw refusal("WRONG_ALGORITHM", "The sign-in token is not signed in the way that the provider's key is for");
  if (!key.verifies(signed_, signature_))
    throw refusal("BAD_SIGNATURE", "The signature of the sign-in token is not the provider's");
  return parsePart(std::string_view(signed_).substr(payloadAt_));
}

} // namespace matrixos::identity
