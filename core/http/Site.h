#pragma once

#include <string>
#include <string_view>

namespace matrixos::api {

/// The site that a Host value names: "console" for console.<domain> and console.localhost, whatever the case and port;
/// "" for the platform's own hosts and for foreign ones.
std::string siteOf(std::string_view host, std::string_view domain);

/// What stands for a site in front of a path's segments: none that a client can send, since those have no control
/// bytes.
inline std::string siteSegment(std::string_view site) {
  return std::string(1, '\1').append(site);
}

} // namespace matrixos::api
