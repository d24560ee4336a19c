#pragma once

#include "ctl/CommandLine.h"

namespace matrixos::ctl {

/// "login": lets matrixosctl in at a platform elsewhere, as the user who says so in a browser (RFC 8628).
int login(const Invocation &invocation);
/// "logout": ends that sign-in there, and forgets it here.
int logout(const Invocation &invocation);
/// "whoami": who asks, and what is theirs.
int whoami(const Invocation &invocation);

} // namespace matrixos::ctl
