#include "http/Site.h"

#include <matrixos/names.hpp>

#include <http/codec/Authority.h>
#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::api {

std::string siteOf(std::string_view host, std::string_view domain) {
  const auto authority = http::Authority::parse(host, 0);
  if (!authority) return {};
  const std::string_view name = authority->name;
  for (const std::string_view suffix : {domain, std::string_view("localhost")}) {
    if (name.size() < suffix.size() + 2 || name[name.size() - suffix.size() - 1] != '.') continue;
    if (!http::sameText(name.substr(name.size() - suffix.size()), suffix)) continue;
    std::string label(name.substr(0, name.size() - suffix.size() - 1));
    std::transform(label.begin(), label.end(), label.begin(), http::lower);
    if (isHostLabel(label) && label != "api") return label;
  }
  return {};
}

} // namespace matrixos::api
