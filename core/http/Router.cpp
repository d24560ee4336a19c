#include "http/Router.h"

#include "common/Owner.h"
#include "http/Site.h"

#include <matrixos/abi/host.h>
#include <matrixos/names.hpp>
#include <matrixos/status.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace matrixos::api {

namespace {

constexpr std::size_t kMaxPattern = 512;

[[noreturn]] void badRoute(const Route &route, const std::string &why) {
  throw Error(Status::InvalidArgument, "route \"" + route.method + " " + route.pattern + "\": " + why, "BAD_ROUTE");
}

std::vector<std::string> splitPattern(const Route &route) {
  const std::string &pattern = route.pattern;
  if (pattern.empty() || pattern.front() != '/') badRoute(route, "the pattern has to start with /");
  if (pattern.size() > kMaxPattern) badRoute(route, "the pattern is too long");
  std::vector<std::string> segments;
  std::size_t at = 0;
  if (pattern.rfind("//", 0) == 0) {
    at = std::min(pattern.find('/', 2), pattern.size());
    if (at == pattern.size() || !isHostLabel(pattern.substr(2, at - 2)))
      badRoute(route, "a page of a site is //NAME/…, with the name of a host");
    segments.push_back(siteSegment(pattern.substr(2, at - 2)));
  }
  if (pattern.substr(at) == "/") return segments;
  while (at < pattern.size()) {
    const std::size_t end = std::min(pattern.find('/', at + 1), pattern.size());
    segments.push_back(pattern.substr(at + 1, end - at - 1));
    at = end;
  }
  return segments;
}

/// Checks the route and returns the names that its pattern binds.
std::vector<std::string> checkRoute(const Route &route) {
  const bool upper =
      std::none_of(route.method.begin(), route.method.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (!http::isToken(route.method) || !upper) badRoute(route, "the method has to be an upper-case token");
  if (route.permission.empty()) badRoute(route, "a permission is missing");
  if (!route.handle) badRoute(route, "a handler is missing");
  std::vector<std::string> names;
  const auto segments = splitPattern(route);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::string &segment = segments[i];
    if (segment.empty()) badRoute(route, "an empty segment never matches");
    if (segment.front() != ':' && segment.front() != '*') continue;
    if (segment.front() == '*' && i + 1 != segments.size()) badRoute(route, "*name has to be the last segment");
    std::string name = segment.substr(1);
    if (!http::isToken(name)) badRoute(route, "a parameter has no well-formed name");
    if (std::find(names.begin(), names.end(), name) != names.end()) badRoute(route, "a parameter stands twice in it");
    names.push_back(std::move(name));
  }
  return names;
}

/// Below a site as well as below none.
RouteClass classOf(const Route &route, OwnerId owner) {
  std::string_view path = route.pattern;
  if (owner == common::kCoreOwner && (path == "/health" || path == "/ready" || path == "/metrics"))
    return RouteClass::Free;
  if (route.permission != MOS_PERMISSION_PUBLIC) return RouteClass::Plain;
  if (path.starts_with("//")) path.remove_prefix(std::min(path.find('/', 2), path.size()));
  const auto below = [path](std::string_view folder) {
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
  };
  if (below("/auth")) return RouteClass::SignIn;
  return below("/webhooks") ? RouteClass::Webhook : RouteClass::Plain;
}

std::string joinRest(const std::vector<std::string> &segments, std::size_t from) {
  std::string rest;
  for (std::size_t i = from; i < segments.size(); ++i) {
    if (i != from) rest.push_back('/');
    rest += segments[i];
  }
  return rest;
}

} // namespace

/// One segment's place in the tree of patterns.
struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> statics;
  std::unique_ptr<Node> parameter;
  std::map<std::string, std::shared_ptr<RouteEntry>, std::less<>> routes;
  std::map<std::string, std::shared_ptr<RouteEntry>, std::less<>> rest;

  /// The place of a pattern's entry, made when missing.
  std::shared_ptr<RouteEntry> &place(const Route &route) {
    Node *node = this;
    for (const std::string &segment : splitPattern(route)) {
      if (segment.front() == '*') return node->rest[route.method];
      std::unique_ptr<Node> &next = segment.front() == ':' ? node->parameter : node->statics[segment];
      if (!next) next = std::make_unique<Node>();
      node = next.get();
    }
    return node->routes[route.method];
  }
};

struct Router::Table {
  Entries entries;
  Node root;
};

namespace {

using MethodMap = std::map<std::string, std::shared_ptr<RouteEntry>, std::less<>>;

/// The method's entry among those of one pattern; else notes what there is.
std::shared_ptr<RouteEntry> choose(const MethodMap &routes, std::string_view method, std::set<std::string> &allow) {
  auto found = routes.find(method);
  if (found == routes.end() && method == "HEAD") found = routes.find("GET");
  if (found != routes.end()) return found->second;
  for (const auto &[known, entry] : routes)
    allow.insert(known);
  return nullptr;
}

std::shared_ptr<RouteEntry> descend(const auto &node, std::string_view method, const std::vector<std::string> &segments,
                                    std::size_t at, std::vector<std::string> &values, std::set<std::string> &allow) {
  if (at == segments.size()) return choose(node.routes, method, allow);
  const std::string &segment = segments[at];
  if (segment.empty()) return nullptr;
  if (const auto next = node.statics.find(segment); next != node.statics.end()) {
    if (auto entry = descend(*next->second, method, segments, at + 1, values, allow)) return entry;
  }
  if (node.parameter) {
    values.push_back(segment);
    if (auto entry = descend(*node.parameter, method, segments, at + 1, values, allow)) return entry;
    values.pop_back();
  }
  if (std::find(segments.begin() + static_cast<std::ptrdiff_t>(at), segments.end(), std::string()) != segments.end()) {
    return nullptr;
  }
  auto entry = choose(node.rest, method, allow);
  if (entry) values.push_back(joinRest(segments, at));
  return entry;
}

} // namespace

Router::Router() : table_(build({})) {}
Router::~Router() = default;

std::shared_ptr<const Router::Table> Router::build(Entries entries) {
  auto table = std::make_shared<Table>();
  // Live routes first: a retired one stays only where nobody has taken its place.
  std::stable_partition(entries.begin(), entries.end(), [](const auto &entry) { return !entry->removed; });
  Entries kept;
  for (const auto &entry : entries) {
    auto &place = table->root.place(entry->route);
    if (place && entry->removed) continue;
    if (place) {
      throw Error(Status::AlreadyExists,
                  "the route " + entry->route.method + " " + entry->route.pattern + " is taken by " +
                      place->route.pattern,
                  "ROUTE_TAKEN");
    }
    place = entry;
    kept.push_back(entry);
  }
  table->entries = std::move(kept);
  return table;
}

std::shared_ptr<const Router::Table> Router::snapshot() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

void Router::add(OwnerId owner, std::vector<Route> routes) {
  Entries added;
  for (Route &route : routes) {
    auto entry = std::make_shared<RouteEntry>();
    entry->names = checkRoute(route);
    entry->kind = classOf(route, owner);
    entry->route = std::move(route);
    entry->owner = owner;
    added.push_back(std::move(entry));
  }
  const std::lock_guard lock(mutex_);
  Entries all = table_->entries;
  all.insert(all.end(), added.begin(), added.end());
  table_ = build(std::move(all));
}

std::size_t Router::remove(OwnerId owner) {
  const std::lock_guard lock(mutex_);
  Entries all;
  std::size_t count = 0;
  for (const auto &entry : table_->entries) {
    if (entry->owner != owner || entry->removed) {
      all.push_back(entry);
      continue;
    }
    ++count;
    entry->removed = true;
    // What stays in its place is a copy: the handler leads into its owner, who goes.
    auto retired = std::make_shared<RouteEntry>();
    retired->route = entry->route;
    retired->route.handle = [](const std::shared_ptr<ApiExchange> &) {};
    retired->names = entry->names;
    retired->owner = owner;
    retired->kind = entry->kind;
    retired->removed = true;
    all.push_back(std::move(retired));
  }
  if (count != 0) table_ = build(std::move(all));
  return count;
}

void Router::describe(OwnerId owner, std::string_view method, std::string_view pattern, std::string operation) {
  const std::lock_guard lock(mutex_);
  const Entries &all = table_->entries;
  const auto at = std::find_if(all.begin(), all.end(), [&](const auto &entry) {
    return entry->owner == owner && !entry->removed && entry->route.method == method && entry->route.pattern == pattern;
  });
  if (at == all.end()) {
    throw Error(Status::NotFound,
                "the plugin has no route " + std::string(method) + " " + std::string(pattern) + " to describe",
                "NO_ROUTE");
  }
  (*at)->route.operation = std::move(operation);
}

bool Router::hasSite(std::string_view site) const {
  return snapshot()->root.statics.count(siteSegment(site)) != 0;
}

RouteMatch Router::find(std::string_view method, const std::vector<std::string> &segments) const {
  const auto table = snapshot();
  RouteMatch match;
  std::set<std::string> allow;
  match.entry = descend(table->root, method, segments, 0, match.values, allow);
  if (match.entry || allow.empty()) return match;
  if (allow.count("GET") != 0) allow.insert("HEAD");
  allow.insert("OPTIONS");
  match.allow.assign(allow.begin(), allow.end());
  return match;
}

std::vector<RouteInfo> Router::list() const {
  std::vector<RouteInfo> infos;
  std::unique_lock lock(mutex_);
  for (const auto &entry : table_->entries) {
    if (entry->removed) continue;
    const Route &route = entry->route;
    infos.push_back(
        {route.method, route.pattern, route.permission, route.summary, route.operation, route.maxBody, entry->owner});
  }
  lock.unlock();
  std::sort(infos.begin(), infos.end(), [](const RouteInfo &a, const RouteInfo &b) {
    return std::tie(a.pattern, a.method) < std::tie(b.pattern, b.method);
  });
  return infos;
}

} // namespace matrixos::api
