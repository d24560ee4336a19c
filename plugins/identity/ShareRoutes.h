#pragma once

#include "Shares.h"

#include <matrixos/host.hpp>

namespace matrixos::identity {

/// GET, POST and DELETE /containers/:handle/shares, for owners: whom it is shared with neither shares on nor looks.
class ShareRoutes {
public:
  explicit ShareRoutes(Shares &shares) : shares_(shares) {}

  void addTo(Routes &routes);

private:
  void add(Exchange &exchange) const;

  Shares &shares_;
};

} // namespace matrixos::identity
