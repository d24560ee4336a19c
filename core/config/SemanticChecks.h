#pragma once

#include "config/Config.h"
#include "config/ConfigError.h"

#include <vector>

namespace matrixos::config {

/// What no single value can get wrong: combinations of them. The rules go by a key's type and flags and know no
/// plugin by name.
///  - api.auth = none only while nothing but this machine can connect: every listener of the daemon is a unix socket or
///    on loopback, and no key that makes the API public is on;
///  - api.admin is one unix socket, since it trusts the peer's credentials; api.listen stays on this machine, since the
///    server behind it is not built to face strangers;
///  - no two listeners on one address, and no two keys that are ports equal;
///  - images are named as some engine could mean it;
///  - plugins.enabled names each plugin once, and every plugin of plugins.required.
void checkCombinations(const Config &config, std::vector<ConfigProblem> &problems);

} // namespace matrixos::config
