#pragma once

#include "Issuer.h"

#include <string>

namespace matrixos::identity {

/// What a provider says of itself (OpenID Connect Discovery 1.0 §3). Its URLs are such that Issuer::allows() them.
struct Metadata {
  std::string authorizationEndpoint, tokenEndpoint, jwksUri;
  std::string userinfoEndpoint; ///< empty: none
  bool sendsIssuer = false;     ///< its answers carry `iss` (RFC 9207)
  /// The client's secret goes into the form, as the provider knows no Basic authentication.
  bool secretInForm = false;

  /// Asks the issuer. Throws Error(Unavailable): "ISSUER_UNREACHABLE", "BAD_ISSUER_ANSWER", also when it calls itself
  /// by another name than the operator does.
  static Metadata load(const Issuer &issuer);
};

} // namespace matrixos::identity
