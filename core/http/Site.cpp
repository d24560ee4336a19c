#include "http/Site.h"

#include <http/codec/Authority.h>

namespace matrixos::api {

std::string siteOf(std::string_view host, const http::DomainNames &names) {
  const auto authority = http::Authority::parse(host, 0);
  const auto name = authority ? names.find(authority->name) : std::nullopt;
  return name && name->label != "api" ? name->label : std::string();
}

} // namespace matrixos::api
