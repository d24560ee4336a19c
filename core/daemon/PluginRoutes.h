#pragma once

#include "http/Router.h"

#include <vector>

namespace matrixos::daemon {

/// Who may use the daemon's own routes.
inline constexpr const char *kMayRead = "operator:platform:read";
inline constexpr const char *kMayWrite = "operator:platform:write";

class Daemon;

/// GET /plugins, GET /plugins/:id and POST /plugins/:id/{enable,disable,reload}.
std::vector<api::Route> pluginRoutes(Daemon &daemon);

} // namespace matrixos::daemon
