#pragma once

#include <map>
#include <string>

namespace matrixos::identity {

/// Who signed in, by the word of the provider.
struct ProviderUser {
  std::string id;    ///< the provider's `sub`, an instance's clerkUserId
  std::string email; ///< empty: unknown
  bool emailVerified = false;
  std::string name, username;
  /// Texts, and each member of lists of texts, for operators by "claim=value".
  std::multimap<std::string, std::string> claims;
};

/// Where a browser is sent, and what its callback is checked with.
struct SignInStart {
  std::string location; ///< an absolute URL of the provider's
  std::string state;    ///< comes back in the callback's query, once; unguessable
  std::string secret;   ///< kept on our side, bound to the browser by a cookie; opaque to the caller
};

/// One mode of signing in.
///
/// Blocking, from any thread at once. Throws matrixos::Error: Unauthenticated (its message says why, for people, and
/// holds no secret), Unavailable (the issuer cannot be reached), Unimplemented (the mode has no such way).
class SignInProvider {
public:
  virtual ~SignInProvider() = default;

  /// Begins a sign-in. `callback`: our absolute URL that the provider sends the browser back to.
  virtual SignInStart begin(const std::string &callback) = 0;
  /// Ends it: `query` of the callback, decoded; `secret` of the SignInStart whose state it carries, which the caller
  /// has found for this browser and will not use again.
  virtual ProviderUser finish(const std::multimap<std::string, std::string> &query, const std::string &secret,
                              const std::string &callback) = 0;
  /// Clerk's session token, posted once by the page of ours.
  virtual ProviderUser redeem(const std::string &token) = 0;
};

} // namespace matrixos::identity
