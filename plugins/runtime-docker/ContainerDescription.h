#pragma once

#include "EngineDocuments.h"

#include <matrixos/json.hpp>

namespace matrixos::docker {

/// The contract's description of a container (abi/runtime.h).
json::Object::Ptr describe(const ContainerInfo &info);

/// Its endpoints, best first: the address on its first network, reached without a proxy in between, then the published
/// port. The names come from the labels that create() sets. Empty unless it is up.
json::Array::Ptr endpointsOf(const ContainerInfo &info);

} // namespace matrixos::docker
