#include "AllowedOrigins.h"

#include <matrixos/status.hpp>

#include <http/codec/Authority.h>
#include <http/codec/Grammar.h>

#include <algorithm>
#include <utility>

namespace matrixos::proxy {

bool isFromElsewhere(const http::RequestHead &head) noexcept {
  return std::any_of(head.fields.begin(), head.fields.end(), [](const http::Field &field) {
    return http::sameAsLower(field.name, "sec-fetch-site") && !http::sameText(field.value, "same-origin") &&
           !http::sameText(field.value, "none");
  });
}

AllowedOrigins::AllowedOrigins(std::vector<std::string> list) : list_(std::move(list)) {
  for (const std::string &origin : list_) {
    if (!http::Origin::parse(origin)) {
      throw Error(Status::InvalidArgument,
                  "allowed_origins: \"" + origin +
                      "\" is no origin; write it like https://app.example.com, without a path");
    }
  }
}

bool AllowedOrigins::admits(const http::RequestHead &head, std::string_view scheme, bool toApi) const noexcept {
  if (toApi ? http::isSafe(head.method) : !head.upgradeWebSocket) return true;
  const std::size_t origins = head.fields.count(http::Name::Origin);
  if (origins != 0) return origins == 1 && isAllowed(head.fields.value(http::Name::Origin), scheme, head.host);
  // Old browsers leave the origin out of what a form sends, but tell the relation of the two sites.
  return !isFromElsewhere(head);
}

bool AllowedOrigins::isAllowed(std::string_view text, std::string_view scheme, std::string_view host) const noexcept {
  const auto origin = http::Origin::parse(text);
  if (!origin) return false; // "null": of a page that has none
  const auto same = [&](const std::string &allowed) { return http::Origin::parse(allowed) == origin; };
  if (std::any_of(list_.begin(), list_.end(), same)) return true;
  return http::sameText(origin->scheme, scheme) &&
         http::Authority::parse(host, http::Authority::defaultPort(scheme)) == origin->authority;
}

} // namespace matrixos::proxy
