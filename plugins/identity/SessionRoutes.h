#pragma once

#include "Sessions.h"

#include <matrixos/host.hpp>

namespace matrixos::identity {

/// Everybody's sessions, for operators: GET and DELETE /auth/sessions.
class SessionRoutes {
public:
  static constexpr std::size_t kMostListed = 1000;

  explicit SessionRoutes(Sessions &sessions) : sessions_(sessions) {}

  void addTo(Routes &routes);

  /// One as JSON: {"id", "createdAt", "expiresAt", "usedAt"}, and with `user` "userId" and "email".
  static std::string toJson(const SessionView &session, bool user);

private:
  void list(Exchange &exchange) const;
  void endOne(Exchange &exchange) const;
  void endAll(Exchange &exchange) const;

  Sessions &sessions_;
};

} // namespace matrixos::identity
