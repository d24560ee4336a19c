#pragma once

#include "ApiTokens.h"

#include <matrixos/caller.hpp>
#include <matrixos/host.hpp>

namespace matrixos::identity {

/// GET, POST and DELETE /tokens, for operators.
class TokenRoutes {
public:
  explicit TokenRoutes(ApiTokens &tokens) : tokens_(tokens) {}

  void addTo(Routes &routes);

private:
  void make(Exchange &exchange) const;
  static void requireAsStrong(const Caller &caller, const std::vector<std::string> &scopes);

  ApiTokens &tokens_;
};

/// Milliseconds of "90d", "12h", "30m" or "10s". Throws Error(InvalidArgument).
std::int64_t parseTtl(std::string_view text);

} // namespace matrixos::identity
