#pragma once

#include "http/Router.h"

#include <vector>

namespace matrixos::daemon {

class Daemon;

/// GET /plugins, GET /plugins/:id and POST /plugins/:id/{enable,disable,reload}.
std::vector<api::Route> pluginRoutes(Daemon &daemon);

} // namespace matrixos::daemon
