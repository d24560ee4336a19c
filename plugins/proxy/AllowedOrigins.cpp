#include "AllowedOrigins.h"

#include <matrixos/status.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <utility>

namespace matrixos::proxy {

namespace {

constexpr std::string_view kScheme = "://";

bool onlyReads(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

/// An origin leaves out the port that its scheme implies; a Host need not.
std::string_view withoutDefaultPort(std::string_view host, std::string_view scheme) noexcept {
  const std::string_view port = http::sameText(scheme, "https") ? ":443" : ":80";
  const bool implied = host.size() > port.size() && host.substr(host.size() - port.size()) == port;
  return implied ? host.substr(0, host.size() - port.size()) : host;
}

} // namespace

AllowedOrigins::AllowedOrigins(std::vector<std::string> list) : list_(std::move(list)) {
  for (const std::string &origin : list_) {
    const std::size_t scheme = origin.find(kScheme);
    const bool fine = scheme != std::string::npos && scheme > 0 && http::isHost(origin.substr(scheme + kScheme.size()));
    if (!fine) {
      throw Error(Status::InvalidArgument,
                  "allowed_origins: \"" + origin +
                      "\" is no origin; write it like https://app.example.com, without a path");
    }
  }
}

bool AllowedOrigins::admits(const http::RequestHead &head, bool toApi) const noexcept {
  if (toApi ? onlyReads(head.method) : !head.upgradeWebSocket) return true;
  const std::size_t origins = head.fields.count(http::Name::Origin);
  if (origins != 0) return origins == 1 && isAllowed(head.fields.value(http::Name::Origin), head.host);
  // Old browsers leave the origin out of what a form sends, but tell the relation of the two sites.
  return std::none_of(head.fields.begin(), head.fields.end(), [](const http::Field &field) {
    return http::sameAsLower(field.name, "sec-fetch-site") && !http::sameText(field.value, "same-origin") &&
           !http::sameText(field.value, "none");
  });
}

bool AllowedOrigins::isAllowed(std::string_view origin, std::string_view host) const noexcept {
  const auto same = [origin](const std::string &allowed) { return http::sameText(allowed, origin); };
  if (std::any_of(list_.begin(), list_.end(), same)) return true;
  const std::size_t scheme = origin.find(kScheme);
  if (scheme == std::string_view::npos) return false; // "null": of a page that has none
  return http::sameText(origin.substr(scheme + kScheme.size()), withoutDefaultPort(host, origin.substr(0, scheme)));
}

} // namespace matrixos::proxy
