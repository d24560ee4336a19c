#include "HostTable.h"

#include <matrixos/handle.hpp>

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

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

std::string_view withoutPort(std::string_view host) {
  if (!host.empty() && host.front() == '[') return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

} // namespace

HostTable::HostTable(std::string_view domain) : suffix_("." + toLower(domain)), apiHost_("api" + suffix_) {}

HostMatch HostTable::match(std::string_view host) const {
  const std::string name = toLower(withoutPort(host));
  if (name == apiHost_ || name == "localhost" || name == "127.0.0.1" || name == "[::1]") {
    return {HostMatch::Kind::Platform, {}};
  }
  for (const std::string_view suffix : {std::string_view(suffix_), kLocal}) {
    if (!endsWith(name, suffix)) continue;
    std::string handle = name.substr(0, name.size() - suffix.size());
    if (isHandle(handle)) return {HostMatch::Kind::Instance, std::move(handle)};
  }
  return {};
}

std::string HostTable::instanceHost(std::string_view platformHost, std::string_view handle) const {
  const std::string_view name = withoutPort(platformHost);
  std::string out(handle);
  out += toLower(name) == apiHost_ ? std::string_view(suffix_) : kLocal;
  return out += platformHost.substr(name.size());
}

} // namespace matrixos::proxy
