#include "auth/Permission.h"

#include <matrixos/abi/host.h>
#include <matrixos/identity.hpp>
#include <matrixos/json_text.hpp>

#include <algorithm>

namespace matrixos::auth {

namespace {

constexpr std::string_view kScoped = "operator:";

/// Until one of the alternatives is what `is` looks for.
bool any(std::string_view permission, auto &&is) noexcept {
  for (;;) {
    const std::size_t bar = permission.find('|');
    if (is(permission.substr(0, bar))) return true;
    if (bar == std::string_view::npos) return false;
    permission.remove_prefix(bar + 1);
  }
}

bool isScope(std::string_view word) noexcept {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == ':';
  });
}

bool isAlternative(std::string_view word) noexcept {
  if (word.substr(0, kScoped.size()) == kScoped) return isScope(word.substr(kScoped.size()));
  return word == MOS_PERMISSION_SIGNED_IN || word == MOS_PERMISSION_OWNER || word == MOS_PERMISSION_MANAGE ||
         word == MOS_PERMISSION_USE || word == MOS_PERMISSION_INSTANCE || word == MOS_PERMISSION_OPERATOR;
}

/// A route without a scope of its own asks for all of them, or for any operator where users may ask.
bool operatorMay(std::string_view word, std::string_view scopes, bool scoped) noexcept {
  if (word == MOS_PERMISSION_INSTANCE) return false;
  if (word == MOS_PERMISSION_SIGNED_IN && !scoped) return true;
  return hasScope(scopes, word.substr(0, kScoped.size()) == kScoped ? word.substr(kScoped.size()) : "*");
}

bool userMay(std::string_view word, Identity::Role role) noexcept {
  if (word == MOS_PERMISSION_SIGNED_IN) return true;
  if (word == MOS_PERMISSION_OWNER) return role == Identity::Role::Owner;
  if (word == MOS_PERMISSION_MANAGE) return role >= Identity::Role::Manage;
  return word == MOS_PERMISSION_USE && role >= Identity::Role::Use;
}

} // namespace

bool isPermission(std::string_view permission) noexcept {
  if (permission == MOS_PERMISSION_PUBLIC || permission == MOS_PERMISSION_ADMIN) return true;
  return !any(permission, [](std::string_view word) { return !isAlternative(word); });
}

bool isPublicRoute(std::string_view pattern, const std::vector<std::string> &routes) noexcept {
  return std::any_of(routes.begin(), routes.end(), [&](std::string_view route) {
    const bool below = route.size() >= 2 && route.substr(route.size() - 2) == "/*";
    if (!below) return pattern == route;
    route.remove_suffix(1); // with the slash
    return pattern.substr(0, route.size()) == route;
  });
}

std::string callerJson(const Identity &identity) {
  JsonObject caller;
  switch (identity.kind) {
  case Identity::Kind::User:
    caller.add("kind", "user").add("id", identity.id);
    caller.add("role", roleWord(static_cast<std::uint32_t>(identity.role)));
    if (!identity.shares.empty()) caller.addRaw("shares", identity.shares);
    break;
  case Identity::Kind::Operator:
    caller.add("kind", "operator").add("id", identity.id).add("scopes", identity.scopes);
    break;
  case Identity::Kind::Instance:
    caller.add("kind", "instance").add("id", identity.id);
    break;
  case Identity::Kind::Unknown:
  case Identity::Kind::Refused:
  case Identity::Kind::Signed:
    caller.add("kind", "public");
    break;
  }
  return std::move(caller).str();
}

bool permits(std::string_view permission, const Identity &identity) noexcept {
  const bool scoped = permission.find(kScoped) != std::string_view::npos;
  return any(permission == MOS_PERMISSION_ADMIN ? MOS_PERMISSION_OPERATOR : permission, [&](std::string_view word) {
    switch (identity.kind) {
    case Identity::Kind::User:
      return userMay(word, identity.role);
    case Identity::Kind::Operator:
      return operatorMay(word, identity.scopes, scoped);
    case Identity::Kind::Instance:
      return word == MOS_PERMISSION_INSTANCE;
    case Identity::Kind::Unknown:
    case Identity::Kind::Refused:
    case Identity::Kind::Signed:
      break;
    }
    return false;
  });
}

} // namespace matrixos::auth
