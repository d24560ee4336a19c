#pragma once

#include "auth/Permission.h"

#include <matrixos/abi/base.h>

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace matrixos::auth {

/// A request whose sender has to be found out. Borrowed for the call; who asks others copies it.
struct IdentityQuestion {
  std::string_view method, host, path, permission, handle, requestId;
  std::vector<mos_pair> fields;         ///< of the header
  std::optional<std::string_view> body; ///< once somebody has said that it is signed
  std::string_view signedBy{};          ///< then: who said so, Identity::id; nobody else is asked
};

/// Whoever knows users, operators and instances by their credentials.
class Identities {
public:
  using Then = std::function<void(Identity)>;

  virtual ~Identities() = default;
  /// Never blocks or throws. Nothing when it takes longer: then what `later` gives, which is asked for once, is called
  /// exactly once, on any thread, perhaps before this returns.
  virtual std::optional<Identity> identify(const IdentityQuestion &question, const std::function<Then()> &later) = 0;
};

} // namespace matrixos::auth
