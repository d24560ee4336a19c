#pragma once

#include "auth/Identities.h"
#include "daemon/ProviderTables.h"

#include <matrixos/abi/identity.h>

#include <functional>
#include <optional>

namespace matrixos::daemon {

/// The plugins that provide matrixos.identity/1, as the API asks them. Thread-safe.
class IdentityProviders final : public auth::Identities {
public:
  explicit IdentityProviders(plugin::ServiceRegistry &services);

  std::optional<auth::Identity> identify(const auth::IdentityQuestion &question,
                                         const std::function<Then()> &later) override;
  /// The plugins that provide it have changed.
  void refresh() { tables_.refresh(); }
  /// Before the services go: nobody is asked any more.
  void close();

private:
  ProviderTables<mos_identity_v1> tables_;
};

} // namespace matrixos::daemon
