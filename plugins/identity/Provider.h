#pragma once

#include "SignInProvider.h"
#include "oidc/KeySet.h"
#include "oidc/World.h"

#include <matrixos/host.hpp>

#include <memory>
#include <string>

namespace matrixos::identity {

/// Where the provider's keys are, as [identity] says it.
KeySource keysOf(const Config &config);

/// How people sign in, as [identity] says it. Asks nobody yet. Throws BadSetting for a section that cannot work.
std::unique_ptr<SignInProvider> makeProvider(const Config &config, World world);

/// What the page of mode=clerk needs; empty in the other modes.
struct ClerkFrontend {
  std::string publishableKey;
  std::string host; ///< of Clerk's frontend API
};
ClerkFrontend clerkFrontend(const Config &config);

} // namespace matrixos::identity
