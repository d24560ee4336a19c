#pragma once

#include <matrixos/abi/plugin.h>

#include <string>

namespace matrixos::isolation::host {

/// Loads a plugin's shared object into this process (its constructors run), bound at once and with local symbols, and
/// asks its entry function. Null when that gave null. Throws Error(FailedPrecondition).
const mos_descriptor_v1 *loadPlugin(const std::string &file);

/// Throws Error(FailedPrecondition) unless this host can run it: magic, versions, size, id, create function.
void checkDescriptor(const mos_descriptor_v1 *descriptor, const std::string &id);

} // namespace matrixos::isolation::host
