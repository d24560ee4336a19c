#pragma once

#include "Access.h"
#include "ConsoleHost.h"

#include <matrixos/host.hpp>

#include <optional>

namespace matrixos::identity {

/// Sessions on the API: users see and end their own, operators everybody's. Who asks, and the end of a program's own.
class SessionRoutes {
public:
  static constexpr std::size_t kMostListed = 1000;

  SessionRoutes(const ConsoleHost &console, Sessions &sessions, const Access &access)
      : console_(console), sessions_(sessions), access_(access) {}

  void addTo(Routes &routes);

private:
  std::optional<SessionView> sessionOf(const Exchange &exchange) const;
  void me(Exchange &exchange) const;
  void logout(Exchange &exchange) const;
  void list(Exchange &exchange) const;
  void endAll(Exchange &exchange) const;

  const ConsoleHost &console_;
  Sessions &sessions_;
  const Access &access_;
};

} // namespace matrixos::identity
