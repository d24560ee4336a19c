/// Who asks the API with an instance's token.
#pragma once

#include "InstanceOrchestrator.h"

#include <matrixos/identity.hpp>

namespace matrixos::orchestrator {

/// Knows instances by their tokens, "Authorization: Bearer mxi_…" or "x-api-key: mxi_…", as "instance:alice". A token
/// counts here from whatever address it comes: what is asked does not tell the peer, which is the proxy as a rule, and
/// a field that names a client is the word of whoever wrote it. To whatever has no such token it has nothing to say.
class TokenIdentity {
public:
  /// `orchestrator` outlives it.
  explicit TokenIdentity(InstanceOrchestrator &orchestrator);
  TokenIdentity(const TokenIdentity &) = delete;
  TokenIdentity &operator=(const TokenIdentity &) = delete;

  /// matrixos.identity/1; lives as long as the object.
  const mos_identity_v1 *table() const noexcept { return &table_; }

private:
  void identify(const mos_identity_request *request) const;

  InstanceOrchestrator &orchestrator_;
  mos_identity_v1 table_{};
};

} // namespace matrixos::orchestrator
