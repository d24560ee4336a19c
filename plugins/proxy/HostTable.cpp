#include "HostTable.h"

#include <matrixos/handle.hpp>

#include <http/codec/Authority.h>
#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::proxy {

namespace {

constexpr std::string_view kLocal = ".localhost";

std::string toLower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), http::lower);
  return out;
}

bool isLocal(std::string_view lowerName) {
  return lowerName == "localhost" || lowerName == "127.0.0.1" || lowerName == "[::1]";
}

} // namespace

HostTable::HostTable(std::string_view domain, std::string_view consoleHost)
    : names_(domain, consoleHost), apiHost_("api." + toLower(domain)) {}

HostMatch HostTable::match(std::string_view host, const std::vector<std::string> &sites) const {
  const auto authority = http::Authority::parse(host, 0);
  const std::string name = toLower(authority ? authority->name : std::string_view{});
  if (name == apiHost_ || isLocal(name)) return {HostMatch::Kind::Platform, {}};
  if (name == names_.domain()) return {HostMatch::Kind::Domain, {}};
  auto ours = names_.find(name);
  if (!ours) return {};
  if (std::find(sites.begin(), sites.end(), ours->label) != sites.end()) return {HostMatch::Kind::Site, {}};
  if (!isHandle(ours->label)) return {};
  return {HostMatch::Kind::Instance, std::move(ours->label)};
}

std::string HostTable::instanceHost(std::string_view platformHost, std::string_view handle) const {
  const auto asked = http::Authority::parse(platformHost, 0);
  std::string out(handle);
  if (asked && isLocal(toLower(asked->name)))
    out += kLocal;
  else
    out.append(".").append(names_.domain());
  if (asked && asked->port != 0) out.append(":").append(std::to_string(asked->port));
  return out;
}

} // namespace matrixos::proxy
