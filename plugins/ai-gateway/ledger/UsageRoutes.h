#pragma once

#include "Reports.h"

#include <matrixos/host.hpp>

namespace matrixos::gateway {

/// `/ai/usage` and `/ai/quotas` of the API. Keep it alive until the plugin is destroyed; `reports` too.
class UsageRoutes {
public:
  UsageRoutes(const mos_host_v1 *host, const Reports &reports) : reports_(reports), routes_(host) {}

  void publish();

private:
  void csv(Exchange &exchange, std::string_view userId, bool byDay) const;
  void user(Exchange &exchange) const;
  void daily(Exchange &exchange) const;

  const Reports &reports_;
  Routes routes_;
};

} // namespace matrixos::gateway
