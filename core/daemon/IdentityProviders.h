#pragma once

#include "auth/Identities.h"
#include "common/Executor.h"
#include "daemon/HangingCalls.h"
#include "daemon/ProviderTables.h"

#include <matrixos/abi/identity.h>

#include <functional>
#include <memory>
#include <optional>

namespace matrixos::daemon {

/// The plugins that provide matrixos.identity/1, as the API asks them: on a thread of their own, which is replaced when
/// one hangs, so that it holds up nobody but whoever it is asked about. While a call of it hangs, it is not asked
/// again. Thread-safe.
class IdentityProviders final : public auth::Identities {
public:
  explicit IdentityProviders(plugin::ServiceRegistry &services);

  std::optional<auth::Identity> identify(const auth::IdentityQuestion &question,
                                         const std::function<Then()> &later) override;
  /// The plugins that provide it have changed.
  void refresh() { tables_.refresh(); }
  /// Others take the places of threads on which a provider hangs.
  void giveUpHanging();
  /// Before the services go: nobody is asked any more.
  void close();

private:
  using Tables = ProviderTables<mos_identity_v1>;
  class Asked;

  Tables tables_;
  const std::shared_ptr<HangingCalls> calls_ = std::make_shared<HangingCalls>();
  common::Executor executor_;
};

} // namespace matrixos::daemon
