#pragma once

#include "Claims.h"

#include <string>

namespace matrixos::identity {

class Issuer;
class KeySet;

/// What an ID token of a sign-in is held against (OpenID Connect Core §3.1.3.7).
struct IdTokenRules {
  std::string clientId;
  std::string nonce;
  std::string accessToken; ///< that came with it
};

/// What the token claims, when all of it is right. Blocks while keys are loaded. Throws Error: Unauthenticated with a
/// reason for each rule, Unavailable when the issuer's keys cannot be had.
Claims checkIdToken(const std::string &text, const IdTokenRules &rules, const Issuer &issuer, KeySet &keys);

} // namespace matrixos::identity
