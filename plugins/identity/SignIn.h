#pragma once

#include "Hosts.h"
#include "OneTime.h"
#include "Sessions.h"
#include "SignInProvider.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::identity {

/// One sign-in from the first click to the session, bound to the browser that began it. Any thread; it blocks as its
/// provider does.
class SignIn {
public:
  /// `emailDomains`: who has no verified address there is refused; empty: everybody may.
  SignIn(SignInProvider &provider, Sessions &sessions, std::vector<std::string> emailDomains)
      : provider_(provider), sessions_(sessions), emailDomains_(std::move(emailDomains)) {}

  struct Begun {
    std::string location; ///< of the provider
    std::string browser;  ///< the value of the browser's cookie
  };
  struct Done {
    std::string cookie, returnTo;
  };

  /// `browser`: the value of its cookie of an earlier one; another one is made where that is none.
  Begun begin(const OurHost &at, std::string_view browser, std::string returnTo);
  /// Throws Error(Unauthenticated) with a sentence for people.
  Done finish(const OurHost &at, std::string_view browser, const std::multimap<std::string, std::string> &query);
  /// Clerk's token; the session's cookie.
  std::string redeem(const std::string &token) { return sessions_.begin(checked(provider_.redeem(token))); }

private:
  struct Pending {
    Digest browser;
    std::string secret, callback, returnTo;
  };

  ProviderUser checked(ProviderUser user) const;

  SignInProvider &provider_;
  Sessions &sessions_;
  const std::vector<std::string> emailDomains_;
  OneTime<Pending> pending_{600'000, 10'000};
};

} // namespace matrixos::identity
