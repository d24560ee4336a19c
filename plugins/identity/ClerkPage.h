#pragma once

#include "Provider.h"

#include <string>

namespace matrixos::identity {

/// The page of mode=clerk: Clerk's own script signs in, ours posts its token once (https://clerk.com/docs/js-frontend).
struct ClerkPage {
  static constexpr const char *kScriptPath = "/auth/clerk.js";

  /// HTML for an element `main`.
  static std::string main(const ClerkFrontend &clerk, const std::string &returnTo);
  /// The Content-Security-Policy that it needs.
  static std::string policy(const ClerkFrontend &clerk);
  static const char *script();
};

} // namespace matrixos::identity
