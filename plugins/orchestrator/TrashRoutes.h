/// /trash and /handles over HTTP.
#pragma once

#include "Operation.h"
#include "TrashBin.h"

#include <matrixos/host.hpp>

namespace matrixos::orchestrator {

/// What is left of deleted instances: their data, and the reservation of their handles. Keep it alive until the plugin
/// is destroyed.
class TrashRoutes {
public:
  TrashRoutes(const mos_host_v1 *host, const Workshop &workshop, const TrashBin &trash)
      : routes_(host), shop_(workshop), trash_(trash) {}

  /// Registers the routes with the host.
  void publish();

private:
  void list(Exchange &exchange) const;
  void release(Exchange &exchange) const;

  Routes routes_;
  const Workshop &shop_;
  const TrashBin &trash_;
};

} // namespace matrixos::orchestrator
