#pragma once

#include "Access.h"
#include "ApiTokens.h"
#include "Hosts.h"
#include "Sessions.h"

#include <matrixos/identity.hpp>

#include <string_view>

namespace matrixos::identity {

/// "matrixos.identity/1": who asks the API. Tokens count on every host, a cookie on the console's alone.
class ApiIdentity {
public:
  ApiIdentity(const Hosts &hosts, const Sessions &sessions, const Access &access, const ApiTokens &tokens);
  ApiIdentity(const ApiIdentity &) = delete;
  ApiIdentity &operator=(const ApiIdentity &) = delete;

  const mos_identity_v1 *table() const noexcept { return &table_; }

private:
  void identify(const mos_identity_request *raw) const;
  void askToken(const mos_identity_request *raw, std::string_view authorization) const;
  void sayUser(const mos_identity_request *raw, const IdentityRequest &request, const User &user) const;

  const Hosts &hosts_;
  const Sessions &sessions_;
  const Access &access_;
  const ApiTokens &tokens_;
  mos_identity_v1 table_{};
};

} // namespace matrixos::identity
