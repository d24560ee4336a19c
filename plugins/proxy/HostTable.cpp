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

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

} // namespace

HostTable::HostTable(std::string_view domain) : suffix_("." + toLower(domain)), apiHost_("api" + suffix_) {}

HostMatch HostTable::match(std::string_view host, const std::vector<std::string> &sites) const {
  const auto authority = http::Authority::parse(host, 0);
  const std::string name = toLower(authority ? authority->name : std::string_view{});
  if (name == apiHost_ || isLocal(name)) return {HostMatch::Kind::Platform, {}};
  if (name == std::string_view(suffix_).substr(1)) return {HostMatch::Kind::Domain, {}};
  for (const std::string_view suffix : {std::string_view(suffix_), kLocal}) {
    if (!endsWith(name, suffix)) continue;
    std::string handle = name.substr(0, name.size() - suffix.size());
    if (std::find(sites.begin(), sites.end(), handle) != sites.end()) return {HostMatch::Kind::Site, {}};
    if (isHandle(handle)) return {HostMatch::Kind::Instance, std::move(handle)};
  }
  return {};
}

std::string HostTable::instanceHost(std::string_view platformHost, std::string_view handle) const {
  const auto asked = http::Authority::parse(platformHost, 0);
  std::string out(handle);
  out += asked && isLocal(toLower(asked->name)) ? kLocal : std::string_view(suffix_);
  if (asked && asked->port != 0) out.append(":").append(std::to_string(asked->port));
  return out;
}

} // namespace matrixos::proxy
