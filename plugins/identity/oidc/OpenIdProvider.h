#pragma once

#include "../SignInProvider.h"
#include "Cached.h"
#include "Issuer.h"
#include "KeySet.h"
#include "Metadata.h"

#include <string>
#include <vector>

namespace matrixos::identity {

class Claims;

/// Signs in with any OpenID Connect provider: authorization code flow (OpenID Connect Core §3.1) with PKCE (RFC 7636),
/// state and nonce, all endpoints by discovery.
///
/// Blocking; any thread. Beside what SignInProvider says: Unauthenticated carries a reason for each check,
/// Unavailable is "ISSUER_UNREACHABLE", "BAD_ISSUER_ANSWER", or "CLIENT_REFUSED" when the provider does not know us.
class OpenIdProvider final : public SignInProvider {
public:
  struct Settings {
    std::string issuer;
    std::string clientId;
    std::string clientSecret;        ///< empty: a public client
    std::vector<std::string> scopes; ///< "openid" is always asked for
    KeySource keys;
  };

  /// Asks nobody yet. Throws BadSetting for settings that cannot work.
  OpenIdProvider(Settings settings, World world);

  SignInStart begin(const std::string &callback) override;
  ProviderUser finish(const std::multimap<std::string, std::string> &query, const std::string &secret,
                      const std::string &callback) override;
  /// Throws Error(Unimplemented).
  ProviderUser redeem(const std::string &token) override;

private:
  /// What the secret of a SignInStart holds.
  struct Pending {
    std::string state, nonce, verifier;
  };
  using Query = std::multimap<std::string, std::string>;

  static Pending pendingOf(const std::string &secret);
  /// The code of an answer that is ours and no error.
  std::string codeOf(const Query &query, const Pending &pending, const Metadata &metadata) const;
  /// What the token endpoint gives for the code, an object.
  Json exchange(const std::string &code, const Pending &pending, const std::string &callback,
                const Metadata &metadata) const;
  /// The claims with those of the userinfo endpoint, when they lack an address and it has one.
  Claims complete(Claims claims, const std::string &accessToken, const Metadata &metadata) const;

  const Settings settings_;
  const Issuer issuer_;
  Cached<Metadata> metadata_;
  KeySet keys_;
};

} // namespace matrixos::identity
