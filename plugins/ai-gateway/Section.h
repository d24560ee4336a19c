/// The plugin's section of the configuration.
#pragma once

#include "Gateway.h"

#include <matrixos/host.hpp>
#include <matrixos/plugin.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// All that the section says, but for where to listen. `adminSecret`: the platform's; empty: nobody asks as an
/// operator. Throws matrixos::Error that names the key or the file.
GatewayOptions readOptions(const Config &config, Secret adminSecret);

/// What the ledger needs of it. Throws matrixos::Error.
Ledger::Settings readLimits(const Config &config);

/// Finds what the declared types cannot say.
void checkSection(const Config &config, Problems &problems);

/// One address of `listen`.
struct ListenEntry {
  Address address;           ///< of host-gateway the port alone counts
  bool isContainers = false; ///< host-gateway
};
/// Throws matrixos::Error(InvalidArgument).
ListenEntry parseListen(std::string_view text);

} // namespace matrixos::gateway
