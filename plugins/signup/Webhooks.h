/// /webhooks over HTTP: what Clerk sends.
#pragma once

#include "Provisioner.h"
#include "Refusals.h"
#include "Signature.h"

#include <matrixos/host.hpp>

#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::signup {

/// A route that is public, as far as [api] public_routes lets it be: a signature is what counts. Keep it alive until
/// the plugin is destroyed.
class Webhooks {
public:
  Webhooks(const mos_host_v1 *host, std::shared_ptr<Provisioner> provisioner, Refusals &refusals);

  /// From now on these keys count, and no others.
  void setKeys(std::vector<Secret> keys);
  /// Registers the route with the host.
  void publish();

private:
  void clerk(Exchange &exchange);
  Effect apply(Exchange &exchange, std::string_view deliveryId) const;
  std::vector<Secret> keys() const;

  Routes routes_;
  const Log log_;
  const std::shared_ptr<Provisioner> provisioner_;
  Refusals &refusals_;
  const Series applied_, repeated_, ignored_;
  mutable std::mutex mutex_;
  std::vector<Secret> keys_;
};

} // namespace matrixos::signup
