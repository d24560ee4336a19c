/// Calls that Inngest signs.
#pragma once

#include "Provisioner.h"
#include "Refusals.h"
#include "Signature.h"

#include <matrixos/host.hpp>
#include <matrixos/identity.hpp>

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace matrixos::signup {

/// Lets Inngest in where its signature over the body vouches for it: at POST /containers/provision, and for users that
/// were not deleted. To whatever has no such signature it has nothing to say. Keep it alive until the plugin is
/// destroyed.
class Inngest final : public Identity {
public:
  Inngest(const mos_host_v1 *host, std::shared_ptr<Provisioner> provisioner, Refusals &refusals);

  /// From now on these keys count, and no others.
  void setKeys(std::vector<Secret> keys);

  /// Reads no table.
  Principal identify(const IdentityRequest &request) override;
  /// Of a request whose signature is good: whether the user was deleted.
  void findOut(const Call &call, const IdentityRequest &request, Completion &done) override;

private:
  using Keys = std::vector<Secret>;
  std::shared_ptr<const Keys> keys() const;

  const Executor executor_;
  const std::shared_ptr<Provisioner> provisioner_;
  Refusals &refusals_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Keys> keys_ = std::make_shared<Keys>();
};

} // namespace matrixos::signup
