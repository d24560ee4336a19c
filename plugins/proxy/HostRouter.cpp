#include "HostRouter.h"

#include <matrixos/handle.hpp>

namespace matrixos::proxy {

namespace {

constexpr std::string_view kPrefix = "/proxy/";

std::string_view pathOf(std::string_view target) {
  return target.substr(0, target.find('?'));
}

/// `/api`, `/api/…`, `/ws`, `/ws/…` belong to the gateway, everything else to the shell.
bool isGatewayPath(std::string_view path) {
  for (const std::string_view root : {std::string_view("/api"), std::string_view("/ws")}) {
    if (path.substr(0, root.size()) == root && (path.size() == root.size() || path[root.size()] == '/')) return true;
  }
  return false;
}

RoutingDecision toInstance(std::string handle, std::string_view target, bool byPath) {
  RoutingDecision out;
  out.kind = RoutingDecision::Kind::Instance;
  out.handle = std::move(handle);
  out.gateway = isGatewayPath(pathOf(target));
  out.byPath = byPath;
  out.target = target;
  return out;
}

} // namespace

RoutingDecision HostRouter::route(const http::RequestHead &head, const std::vector<std::string> &sites) const {
  HostMatch host = hosts_.match(head.host, sites);
  RoutingDecision out;
  switch (host.kind) {
  case HostMatch::Kind::Foreign:
    return out;
  case HostMatch::Kind::Domain:
    out.kind = RoutingDecision::Kind::Domain;
    return out;
  case HostMatch::Kind::Site:
    out.kind = RoutingDecision::Kind::Site;
    out.target = head.target;
    return out;
  case HostMatch::Kind::Instance:
    return toInstance(std::move(host.handle), head.target, false);
  case HostMatch::Kind::Platform:
    break;
  }
  if (head.target.substr(0, kPrefix.size()) != kPrefix) {
    out.kind = RoutingDecision::Kind::Api;
    out.target = head.target;
    return out;
  }
  const std::string_view rest = head.target.substr(kPrefix.size());
  const std::size_t end = rest.find_first_of("/?");
  const std::string_view handle = rest.substr(0, end);
  if (!isHandle(handle)) {
    out.kind = RoutingDecision::Kind::UnknownHandle;
    return out;
  }
  out = toInstance(std::string(handle), end == std::string_view::npos ? std::string_view{} : rest.substr(end), true);
  out.slashMissing = out.target.empty() || out.target.front() == '?';
  return out;
}

std::string HostRouter::ownAddress(const http::RequestHead &head, const RoutingDecision &decision,
                                   std::string_view scheme) const {
  std::string out(scheme);
  out.append("://").append(hosts_.instanceHost(head.host, decision.handle));
  return out.append(decision.slashMissing ? "/" : "").append(decision.target);
}

} // namespace matrixos::proxy
