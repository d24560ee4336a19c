/// /webhooks over HTTP: what Clerk and Inngest send.
#pragma once

#include "Provisioner.h"
#include "Signature.h"

#include <matrixos/host.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace matrixos::signup {

/// Routes that are public, as far as [api] public_routes lets them be: a signature is what counts. Keep it alive until
/// the plugin is destroyed.
class Webhooks {
public:
  Webhooks(const mos_host_v1 *host, std::shared_ptr<Provisioner> provisioner, Provisioner::Orchestrators orchestrators);

  /// From now on these keys count, and no others.
  void setKeys(std::vector<Secret> clerk, std::vector<Secret> inngest);
  /// Registers the routes with the host.
  void publish();

private:
  void clerk(Exchange &exchange);
  void inngest(Exchange &exchange);
  Effect apply(Exchange &exchange, std::string_view deliveryId) const;
  std::vector<Secret> keys(const std::vector<Secret> &which) const;
  void requireGood(Verdict verdict, const Exchange &exchange, const char *source);

  Routes routes_;
  const Log log_;
  const std::shared_ptr<Provisioner> provisioner_;
  const Provisioner::Orchestrators orchestrators_;
  const Series applied_, repeated_, ignored_, refused_;
  std::atomic<std::int64_t> quietUntil_{0}; ///< no more refusals are logged, on the clock of deadlines
  mutable std::mutex mutex_;
  std::vector<Secret> clerkKeys_, inngestKeys_;
};

} // namespace matrixos::signup
