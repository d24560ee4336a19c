#pragma once

#include "Settings.h"

#include <matrixos/instance_spec.hpp>

#include <string>
#include <string_view>

namespace matrixos::docker {

/// Reads an instance spec (abi/runtime.h) member by member; only what it knows reaches the engine. Throws
/// Error(InvalidArgument, BAD_SPEC or BAD_JSON) that names the member, also for what only this engine refuses. The
/// image's name comes back in full.
InstanceSpec readSpec(std::string_view json);

/// Labels from a JSON object of texts. Throws Error(InvalidArgument).
Labels parseLabels(std::string_view json);

/// Body of the engine's POST /containers/create (API v1.41). `aliasAddress` is what hostAliases resolve to.
std::string createBody(const InstanceSpec &spec, const Settings &settings, const std::string &aliasAddress);

/// SHA-256 over what createBody would send, without labels: equal specs have equal hashes.
std::string specHash(InstanceSpec spec, const Settings &settings);

} // namespace matrixos::docker
