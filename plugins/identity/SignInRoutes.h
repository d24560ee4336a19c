#pragma once

#include "Access.h"
#include "Codes.h"
#include "Provider.h"
#include "SignIn.h"

#include <matrixos/host.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::identity {

/// What browsers see on the console's host: signing in and out, who one is, one's sessions.
class SignInRoutes {
public:
  /// `development`: mode=none, whose page asks for a name. `clerk`: empty but for mode=clerk.
  SignInRoutes(const Hosts &hosts, Sessions &sessions, const Access &access, Codes &codes, SignIn &signIn,
               bool development, ClerkFrontend clerk);

  void addTo(Routes &routes);

private:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  OurHost hostOf(const Exchange &exchange) const;
  static std::string cookieOf(const Exchange &exchange, CookieKind kind, const OurHost &at);
  std::optional<SessionView> sessionOf(const Exchange &exchange, const OurHost &at) const;
  SessionView requireSession(const Exchange &exchange) const;
  static void requireOwnPage(const Exchange &exchange, const OurHost &at);

  void addModes(Routes &routes);
  void login(Exchange &exchange) const;
  void callback(Exchange &exchange) const;
  void clerk(Exchange &exchange) const;
  void authorize(Exchange &exchange) const;
  void logout(Exchange &exchange) const;
  void me(Exchange &exchange) const;
  void home(Exchange &exchange) const;
  void listOwn(Exchange &exchange) const;
  void endOne(Exchange &exchange) const;

  std::string signedInCookie(const OurHost &at, const std::string &cookie) const;
  void endPrevious(const Exchange &exchange, const OurHost &at) const;

  const Hosts &hosts_;
  Sessions &sessions_;
  const Access &access_;
  Codes &codes_;
  SignIn &signIn_;
  const bool development_;
  const ClerkFrontend clerk_;
};

} // namespace matrixos::identity
