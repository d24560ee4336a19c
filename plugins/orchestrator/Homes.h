/// The home of an instance, which is made once and never again.
#pragma once

#include "Engine.h"
#include "Instance.h"
#include "Operation.h"

#include <string>

namespace matrixos::orchestrator {

/// Makes the home at the first provision, and makes sure that it is there ever after: a home that is missing is a
/// failure, not an empty home. Throws Error that names the path: NotFound, with the runtime's reason, or, for the first
/// provision, ResourceExhausted when its disk is full.
Engine::Volume ensureHome(const Workshop &shop, const Instance &record, const std::string &path,
                          const std::string &operationId);

/// False when the home alone is missing. Throws Error when nobody can tell, as while its file system is not mounted.
bool homeIsThere(const Workshop &shop, const Instance &record, const std::string &operationId);

} // namespace matrixos::orchestrator
