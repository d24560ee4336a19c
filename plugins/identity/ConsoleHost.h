#pragma once

#include "Hosts.h"
#include "Sessions.h"

#include <matrixos/host/http.hpp>

#include <optional>
#include <string_view>

namespace matrixos::identity {

/// "https", if the client came so as far as is known, or "http".
std::string_view schemeOf(const Exchange &exchange);

/// The console's host in requests to its pages: by which way it was reached, and who is signed in there.
class ConsoleHost {
public:
  ConsoleHost(const Hosts &hosts, const Sessions &sessions) : hosts_(hosts), sessions_(sessions) {}

  const Hosts &hosts() const noexcept { return hosts_; }

  /// Throws Error(NotFound) for another host.
  OurHost of(const Exchange &exchange) const;
  std::optional<SessionView> sessionOf(const Exchange &exchange, const OurHost &at) const;
  /// Throws Error(Unauthenticated) where nobody is signed in.
  SessionView requireSession(const Exchange &exchange) const;
  /// For what changes something and comes with a cookie: throws Error(PermissionDenied) unless a page of this very host
  /// sends it.
  static void requireOwnPage(const Exchange &exchange, const OurHost &at);

private:
  const Hosts &hosts_;
  const Sessions &sessions_;
};

} // namespace matrixos::identity
