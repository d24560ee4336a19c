#pragma once

#include "auth/Identities.h"
#include "plugin/ServiceRegistry.h"

#include <matrixos/abi/identity.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::daemon {

/// The plugins that provide matrixos.identity/1, as the API asks them. Thread-safe.
class IdentityProviders final : public auth::Identities {
public:
  explicit IdentityProviders(plugin::ServiceRegistry &services);

  std::optional<auth::Identity> identify(const auth::IdentityQuestion &question,
                                         const std::function<Then()> &later) override;
  /// The plugins that provide it have changed.
  void refresh();
  /// Before the services go: nobody is asked any more.
  void close();

private:
  using Tables = std::vector<const mos_identity_v1 *>;

  plugin::ServiceRegistry &services_;
  const plugin::ServiceConsumer consumer_;
  std::mutex mutex_;
  std::shared_ptr<const Tables> tables_ = std::make_shared<Tables>();
};

} // namespace matrixos::daemon
