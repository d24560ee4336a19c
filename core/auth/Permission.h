#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::auth {

/// Who sends a request, by the word of a plugin that provides identities (abi/identity.h).
struct Identity {
  /// Signed: whoever said so, `id`, has to see the body.
  enum class Kind { Unknown, User, Operator, Instance, Refused, Signed };
  /// Each can do what those before it can.
  enum class Role : std::uint8_t { None, Use, Manage, Owner };

  Kind kind = Kind::Unknown;
  Role role = Role::None; ///< of a user, for the instance that is asked for
  int status = 401;       ///< of a refusal
  std::string id;         ///< "user:2abc"
  std::string scopes;     ///< of an operator, separated by blanks
  std::string shares;     ///< of a user: {"bob": "use"}, or empty
  std::string message;    ///< of a refusal
  std::string reason{};   ///< the same, a word; or empty
};

/// "public", "admin", "signed-in", "owner[:manage|:use]", "instance", "operator[:scope]", or several of the last five
/// separated by "|" (abi/host.h).
bool isPermission(std::string_view permission) noexcept;

/// Whether a route's pattern stands in [api] public_routes: "/health" stands for itself, "/auth/*" for all below it.
bool isPublicRoute(std::string_view pattern, const std::vector<std::string> &routes) noexcept;

/// As handlers see it (abi/host.h, mos_http_request).
std::string callerJson(const Identity &identity);

/// Whether the permission lets that user, operator or instance pass.
bool permits(std::string_view permission, const Identity &identity) noexcept;

} // namespace matrixos::auth
