#pragma once

#include "../SignInProvider.h"
#include "Issuer.h"
#include "KeySet.h"

#include <string>
#include <string_view>
#include <vector>

namespace matrixos::identity {

/// Signs in with a session token of Clerk's that a page of ours took with getToken() and posted once.
///
/// Blocking; any thread. Throws what SignInProvider says; Unauthenticated carries a reason for each check.
class ClerkTokens final : public SignInProvider {
public:
  struct Settings {
    std::string publishableKey;
    std::string issuer; ///< empty: the frontend API that the publishable key names
    KeySource keys;     ///< all empty: the frontend API's
    /// Origins whose pages may take tokens ("https://console.example.org"), compared as a whole with `azp`. Clerk gives
    /// tokens to the pages of every subdomain, tenants' among them: without one no token could be accepted.
    std::vector<std::string> authorizedParties;
  };

  /// Throws BadSetting for settings that cannot work.
  ClerkTokens(Settings settings, World world);

  /// Throws Error(Unimplemented), and so does finish(): Clerk's own page does it.
  SignInStart begin(const std::string &callback) override;
  ProviderUser finish(const std::multimap<std::string, std::string> &query, const std::string &secret,
                      const std::string &callback) override;
  /// Somebody who acts for the user (`act`) is noted, and is among the claims as "act".
  ProviderUser redeem(const std::string &token) override;

  /// The host of the frontend API in a publishable key, `pk_live_` or `pk_test_` and base64 of the host and a "$":
  /// "clerk.example.org". Throws BadSetting, "BAD_PUBLISHABLE_KEY".
  static std::string frontendApi(std::string_view publishableKey);

private:
  const Settings settings_;
  const Issuer issuer_;
  KeySet keys_;
};

} // namespace matrixos::identity
