#pragma once

#include "Callback.h"

#include <support/HttpClient.h>
#include <support/Process.h>
#include <support/TempDir.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace matrixos::test {

/// An OpenID provider that others have made, as a process of the test's own.
class RealProvider {
public:
  /// npm's oidc-provider, certified by the OpenID Foundation. Null, with a message, where Node.js or its packages are
  /// not to be had; that fails the test where CI=true. Waits until it listens. `kind`: "usual" or "other", as
  /// provider/server.mjs knows them. `callbacks`: where it may send browsers back to.
  static std::unique_ptr<RealProvider> start(const std::string &kind = "usual",
                                             const std::vector<std::string> &callbacks = {kCallback});
  /// LemonLDAP::NG, with lemonldap/portal.pl; null, and what follows, where Debian's package is not installed.
  static std::unique_ptr<RealProvider> startLemonLdap(const std::string &callback);

  std::uint16_t port() const noexcept { return port_; }
  std::string issuer() const { return "http://127.0.0.1:" + std::to_string(port_); }

private:
  /// The command prints "port N". One that keeps files has their folder as its last argument.
  explicit RealProvider(const std::vector<std::string> &command, bool keepsFiles = false);

  TempDir dir_;
  Process process_;
  std::uint16_t port_ = 0;
};

/// Somebody at a browser that has the provider's cookies and runs no scripts.
class SignInVisitor {
public:
  explicit SignInVisitor(const RealProvider &provider) : provider_(provider) {}

  /// Goes where our platform sends the browser, signs in under that name, which is the password as well, and agrees to
  /// everything, until the provider sends the browser somewhere else: there. Empty when it does not.
  std::string signIn(const std::string &location, const std::string &name);
  /// Goes there and turns away at the first question.
  std::string cancel(const std::string &location);

private:
  Response go(const std::string &method, const std::string &target, const std::string &body = {});
  /// Follows redirects; a page of the provider's, or where it sends the browser away to.
  Response follow(Response response, std::string &away);
  std::string target(const std::string &location) const;

  const RealProvider &provider_;
  std::map<std::string, std::string> cookies_;
  std::string at_; ///< the target of the page
};

} // namespace matrixos::test
