#pragma once

#include "Access.h"
#include "Codes.h"
#include "ConsoleHost.h"
#include "Diary.h"
#include "Newcomers.h"
#include "Provider.h"
#include "SignIn.h"

#include <matrixos/host.hpp>

#include <string>

namespace matrixos::identity {

/// What browsers see on the console's host: signing in and out, who one is, one's sessions.
class SignInRoutes {
public:
  /// `mode`: of [identity]. `clerk`: empty but for mode=clerk.
  SignInRoutes(const ConsoleHost &console, Sessions &sessions, const Access &access, Codes &codes, SignIn &signIn,
               const Newcomers &newcomers, const Diary &diary, const Log &log, std::string mode, ClerkFrontend clerk);

  void addTo(Routes &routes);

private:
  static std::string browserOf(const Exchange &exchange, const OurHost &at);

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

  std::string nothingOf(const User &user) const;
  void noteRefused(const Exchange &exchange, const Error &error) const;
  std::string signedInCookie(const OurHost &at, const std::string &cookie) const;
  void endPrevious(const Exchange &exchange, const OurHost &at) const;
  bool end(const SessionView &session) const;

  const ConsoleHost &console_;
  const Hosts &hosts_;
  Sessions &sessions_;
  const Access &access_;
  Codes &codes_;
  SignIn &signIn_;
  const Newcomers &newcomers_;
  const Diary &diary_;
  const Log &log_;
  const std::string mode_;
  const ClerkFrontend clerk_;
};

} // namespace matrixos::identity
