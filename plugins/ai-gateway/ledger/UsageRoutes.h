#pragma once

#include "Reports.h"

#include <matrixos/host.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::gateway {

/// `/ai/usage` and `/ai/quotas` of the API. Keep it alive until the plugin is destroyed; `reports` too.
class UsageRoutes {
public:
  /// The handles of the instances that are a user's. [any-thread]
  using FindOwned = std::function<std::vector<std::string>(std::string_view user)>;

  UsageRoutes(const mos_host_v1 *host, const Reports &reports, FindOwned findOwned)
      : reports_(reports), findOwned_(std::move(findOwned)), routes_(host) {}

  void publish();

private:
  void csv(Exchange &exchange, std::string_view userId, bool byDay) const;
  void own(Exchange &exchange) const;
  void user(Exchange &exchange) const;
  void daily(Exchange &exchange) const;

  const Reports &reports_;
  const FindOwned findOwned_;
  Routes routes_;
};

} // namespace matrixos::gateway
