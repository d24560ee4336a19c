#pragma once

#include "config/Config.h"
#include "config/ConfigError.h"

#include <string>
#include <vector>

namespace matrixos::config {

/// A way in which other machines reach the daemon, and what ends it, as ends of sentences.
struct Exposure {
  std::string what;   ///< "[proxy] listen (x.ini:3) is 0.0.0.0:9000, which other machines can reach"
  std::string remedy; ///< "listen on 127.0.0.1"
};

/// All of them: listeners that are not local, and keys that make the API public.
std::vector<Exposure> exposures(const Config &config);

/// What no single value can get wrong: combinations of them. The rules go by a key's type and flags and know no
/// plugin by name.
///  - api.auth = none only while nothing but this machine can connect: every listener of the daemon is a unix socket or
///    on loopback, and no key that makes the API public is on;
///  - api.admin is one unix socket, since it trusts the peer's credentials; api.listen stays on this machine, since the
///    server behind it is not built to face strangers;
///  - no two listeners on one address, and no two keys that are ports equal;
///  - images are named as some engine could mean it;
///  - platform.console_host is one label before the domain, or a name that does not end in it, and is nobody else's;
///  - plugins.enabled names each plugin once, and every plugin of plugins.required.
void checkCombinations(const Config &config, std::vector<ConfigProblem> &problems);

} // namespace matrixos::config
