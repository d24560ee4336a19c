#pragma once

#include "ImageName.h"

#include <optional>
#include <string>

namespace matrixos::docker {

/// Credentials for one registry.
struct RegistryLogin {
  std::string username;
  std::string password;
  std::string identityToken; ///< in place of a password, or empty
  std::string server;

  /// Value of the engine's X-Registry-Auth header.
  std::string header() const;
};

/// Logins from a file in Docker's config.json format ("auths" with "auth", "username"/"password" or "identitytoken";
/// credential helpers are programs and are not run). Read at each pull, so that new credentials need no restart.
/// Nothing when the file has none for the image's registry. Throws Error(FailedPrecondition, BAD_AUTH_FILE) when the
/// file cannot be read, is open to everybody or makes no sense; the message never shows its content.
std::optional<RegistryLogin> findLogin(const std::string &authFile, const ImageName &image);

} // namespace matrixos::docker
