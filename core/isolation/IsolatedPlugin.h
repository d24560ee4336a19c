#pragma once

#include "isolation/Supervisor.h"

#include <matrixos/abi/plugin.h>

#include <functional>
#include <string>

namespace matrixos::isolation {

/// Why a plugin with such a descriptor cannot run in a process of its own; empty when it can. It provides services that
/// have no function that must not wait, and needs services all of whose functions can be called from there; the SDK or
/// it itself describes them. What it describes is in the ServiceCatalogue.
std::string whyNotIsolated(const mos_descriptor_v1 &descriptor);

using CreateFunction = std::function<mos_status(const mos_host_v1 *, mos_plugin_v1 *, mos_error *)>;

/// A create() as of a descriptor, for the plugin in `settings.file` without loading it here: start() starts its process
/// and provides its services, stop() ends both. To the host it looks like any plugin. `descriptor` is copied.
CreateFunction isolated(ProcessSettings settings, const mos_descriptor_v1 &descriptor);

} // namespace matrixos::isolation
