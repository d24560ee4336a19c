/// /containers over HTTP.
#pragma once

#include "InstanceOrchestrator.h"

#include <matrixos/host.hpp>

namespace matrixos::orchestrator {

/// The routes of the API. Commands are answered when the operation has ended, without holding a thread meanwhile.
/// Keep it alive until the plugin is destroyed.
class ContainerRoutes {
public:
  ContainerRoutes(const mos_host_v1 *host, InstanceOrchestrator &orchestrator)
      : routes_(host), orchestrator_(orchestrator) {}

  /// Registers the routes with the host.
  void publish();

private:
  void provision(Exchange &exchange);
  void list(Exchange &exchange);
  void checkHandle(Exchange &exchange);

  Routes routes_;
  InstanceOrchestrator &orchestrator_;
};

} // namespace matrixos::orchestrator
