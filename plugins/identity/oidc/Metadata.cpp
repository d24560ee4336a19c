#include "Metadata.h"

#include <algorithm>

namespace matrixos::identity {

namespace {

std::string endpoint(const Issuer &issuer, const Json &document, const char *name) {
  const std::string *url = textIn(document, name);
  if (url == nullptr || !issuer.allows(*url))
    throw issuer.unusable(std::string(name) + " of its discovery document is no https URL");
  return *url;
}

bool lists(const Json &list, const char *value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

} // namespace

Metadata Metadata::load(const Issuer &issuer) {
  std::string url = issuer.name();
  url.erase(url.find_last_not_of('/') + 1);
  const Json document = issuer.document(url + "/.well-known/openid-configuration");
  const std::string *name = textIn(document, "issuer");
  if (name == nullptr || *name != issuer.name())
    throw issuer.unusable("its discovery document is of another issuer than the configured " + issuer.name());
  Metadata metadata;
  metadata.authorizationEndpoint = endpoint(issuer, document, "authorization_endpoint");
  metadata.tokenEndpoint = endpoint(issuer, document, "token_endpoint");
  metadata.jwksUri = endpoint(issuer, document, "jwks_uri");
  if (document.contains("userinfo_endpoint"))
    metadata.userinfoEndpoint = endpoint(issuer, document, "userinfo_endpoint");
  const auto sends = document.find("authorization_response_iss_parameter_supported");
  metadata.sendsIssuer = sends != document.end() && *sends == true;
  // Left out means Basic.
  const auto methods = document.find("token_endpoint_auth_methods_supported");
  metadata.secretInForm = methods != document.end() && methods->is_array() && lists(*methods, "client_secret_post") &&
                          !lists(*methods, "client_secret_basic");
  return metadata;
}

} // namespace matrixos::identity
