#pragma once

#include <http/codec/Authority.h>
#include <http/codec/Grammar.h>

#include <string_view>

namespace matrixos::identity {

/// Whether a browser opens a page in a tab of its own. "empty" is what it says of one that a service worker of that
/// very host passes on (https://www.w3.org/TR/service-workers/#fetchevent); no page can send such a request itself. It
/// says so of a frame on another host's page, too, and of the way back from signing in: they look alike, so that the
/// proxy lets no frame show the answer.
template <typename Request>
bool opensPage(const Request &request, bool isNavigation) {
  const std::string_view target = request.header("sec-fetch-dest");
  return isNavigation && (target.empty() || target == "document" || target == "empty");
}

/// Whether a cookie of ours counts for a request, a PolicyRequest or an IdentityRequest: who signed in is to mean what
/// is asked for. A browser that opens a page in a tab of its own does; everything else has to come from a page of the
/// very same origin, or from no page at all. Other tenants are the same site to browsers, and SameSite keeps none of
/// them out (https://www.w3.org/TR/fetch-metadata/).
template <typename Request>
bool cookieCounts(const Request &request, std::string_view scheme, bool isNavigation) {
  if (opensPage(request, isNavigation)) return true;
  const std::string_view site = request.header("sec-fetch-site");
  if (!site.empty()) return site == "same-origin" || site == "none";
  const std::string_view text = request.header("origin");
  if (text.empty()) return true;
  const auto origin = http::Origin::parse(text);
  return origin && http::sameText(origin->scheme, scheme) &&
         http::Authority::parse(request.host(), http::Authority::defaultPort(scheme)) == origin->authority;
}

} // namespace matrixos::identity
