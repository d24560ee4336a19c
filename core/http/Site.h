#pragma once

#include <http/codec/DomainNames.h>

#include <string>
#include <string_view>

namespace matrixos::api {

/// The site that a Host value names: "wiki" for wiki.<domain> and wiki.localhost, "console" for the console's host,
/// whatever the case and port; "" for the platform's own hosts and for foreign ones.
std::string siteOf(std::string_view host, const http::DomainNames &names);

/// What stands for a site in front of a path's segments: none that a client can send, since those have no control
/// bytes.
inline std::string siteSegment(std::string_view site) {
  return std::string(1, '\1').append(site);
}

} // namespace matrixos::api
