#include "HostTable.h"

#include <matrixos/handle.hpp>

#include <http/codec/Authority.h>
#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::proxy {

HostTable::HostTable(std::string_view domain, std::string_view consoleHost)
    : names_(domain, consoleHost), apiHost_("api." + std::string(names_.domain())) {}

HostMatch HostTable::match(std::string_view host, const std::vector<std::string> &sites) const {
  const auto authority = http::Authority::parse(host, 0);
  const std::string_view name = authority ? authority->name : std::string_view{};
  if (http::sameAsLower(name, apiHost_) || http::DomainNames::isThisMachine(name))
    return {HostMatch::Kind::Platform, {}};
  if (http::sameAsLower(name, names_.domain())) return {HostMatch::Kind::Domain, {}};
  auto ours = names_.find(name);
  if (!ours) return {};
  if (std::find(sites.begin(), sites.end(), ours->label) != sites.end()) return {HostMatch::Kind::Site, {}};
  if (!isHandle(ours->label)) return {};
  return {HostMatch::Kind::Instance, std::move(ours->label)};
}

std::string HostTable::instanceHost(std::string_view platformHost, std::string_view handle) const {
  const auto asked = http::Authority::parse(platformHost, 0);
  std::string out(handle);
  if (asked && http::DomainNames::isThisMachine(asked->name))
    out += http::kLocalSuffix;
  else
    out.append(".").append(names_.domain());
  if (asked && asked->port != 0) out.append(":").append(std::to_string(asked->port));
  return out;
}

} // namespace matrixos::proxy
