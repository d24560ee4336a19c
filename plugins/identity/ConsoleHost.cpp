#include "ConsoleHost.h"

#include "RequestOrigin.h"

#include <matrixos/status.hpp>

namespace matrixos::identity {

namespace {

/// What cookieCounts() asks of a request.
struct Asking {
  const Exchange &exchange;

  std::string_view header(std::string_view name) const { return exchange.header(name).value_or(std::string_view()); }
  std::string_view host() const { return header("host"); }
};

} // namespace

std::string_view schemeOf(const Exchange &exchange) {
  return exchange.header("x-forwarded-proto").value_or("http") == "https" ? "https" : "http";
}

OurHost ConsoleHost::of(const Exchange &exchange) const {
  const auto at = hosts_.parse(exchange.header("host").value_or(""), schemeOf(exchange));
  if (!at || at->label != kConsole) throw Error(Status::NotFound, "people sign in on the console's host", "NO_ROUTE");
  return *at;
}

std::optional<SessionView> ConsoleHost::sessionOf(const Exchange &exchange, const OurHost &at) const {
  return sessions_.ofCookies(exchange.header("cookie").value_or(""), at.plain);
}

SessionView ConsoleHost::requireSession(const Exchange &exchange) const {
  const auto session = sessionOf(exchange, of(exchange));
  if (!session) throw Error(Status::Unauthenticated, "nobody is signed in", "NOT_SIGNED_IN");
  return *session;
}

void ConsoleHost::requireOwnPage(const Exchange &exchange, const OurHost &at) {
  if (!cookieCounts(Asking{exchange}, at.plain ? "http" : "https", false))
    throw Error(Status::PermissionDenied, "a page of another site may not do this", "FOREIGN_PAGE");
}

} // namespace matrixos::identity
