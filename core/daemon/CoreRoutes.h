#pragma once

#include "http/Router.h"

#include <vector>

namespace matrixos::daemon {

class Daemon;

/// The routes of the daemon itself: /health, /ready, /metrics, /status, /plugins…, /config, /routes, /reload.
std::vector<api::Route> coreRoutes(Daemon &daemon);

} // namespace matrixos::daemon
