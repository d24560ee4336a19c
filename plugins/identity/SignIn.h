#pragma once

#include "Hosts.h"
#include "OneTime.h"
#include "Sessions.h"
#include "SignInProvider.h"

#include <matrixos/status.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::identity {

/// A sign-in of somebody whom the provider has named.
class UserRefused : public Error {
public:
  UserRefused(const char *message, std::string userId)
      : Error(Status::Unauthenticated, message, "SIGN_IN"), userId_(std::move(userId)) {}

  const std::string &userId() const noexcept { return userId_; }

private:
  std::string userId_;
};

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
    std::string username; ///< at the provider; may be empty
  };

  /// `browser`: the value of its cookie of an earlier one; another one is made where that is none.
  Begun begin(const OurHost &at, std::string_view browser, std::string returnTo);
  /// Throws Error(Unauthenticated), or UserRefused, with a sentence for people.
  Done finish(const OurHost &at, std::string_view browser, const std::multimap<std::string, std::string> &query);
  /// Clerk's token; the session's cookie.
  std::string redeem(const std::string &token);

  /// How a sign-in ended: refused, for what the browser or the provider said; failed, for anything else.
  enum class End { Done, Refused, Failed };
  static constexpr std::array<std::string_view, 3> kEndNames{"ok", "refused", "failed"};
  std::uint64_t ended(End end) const noexcept { return ended_[static_cast<std::size_t>(end)]; }

private:
  struct Pending {
    Digest browser;
    std::string secret, callback, returnTo;
  };

  Done comeBack(const OurHost &at, std::string_view browser, const std::multimap<std::string, std::string> &query);
  ProviderUser checked(ProviderUser user) const;
  template <typename Finish>
  auto counted(Finish &&finish);

  SignInProvider &provider_;
  Sessions &sessions_;
  const std::vector<std::string> emailDomains_;
  OneTime<Pending> pending_{600'000, 10'000};
  std::array<std::atomic<std::uint64_t>, kEndNames.size()> ended_{};
};

} // namespace matrixos::identity
