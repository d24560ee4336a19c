#pragma once

#include "Store.h"
#include "Writer.h"

#include <matrixos/host.hpp>

namespace matrixos::audit {

/// GET /audit, /audit/verify and /audit/export.
class AuditRoutes {
public:
  AuditRoutes(const mos_host_v1 *host, const Store &store, Writer &writer)
      : routes_(host), store_(store), writer_(writer) {}

  void publish();

private:
  void list(Exchange &exchange) const;
  void verify(Exchange &exchange) const;
  void exportAll(Exchange &exchange) const;

  Routes routes_;
  const Store &store_;
  Writer &writer_;
};

} // namespace matrixos::audit
