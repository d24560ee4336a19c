/// matrixos/platform_secret.hpp: the platform's secret, for plugins that act for it or keep it from others. Needs
/// PocoJSON.
#pragma once

#include <matrixos/host/config.hpp>
#include <matrixos/host/platform.hpp>
#include <matrixos/json.hpp>

#include <fstream>
#include <string>

namespace matrixos {
inline namespace v1 {

/// The first word of a file, as the daemon takes it: a secret is one word, and blanks and lines around it do not count.
/// "" when there is none, or no file. Blocks for the disk.
inline std::string readSecretFile(const std::string &path) {
  std::ifstream file(path);
  std::string secret;
  file >> secret;
  return secret;
}

/// What opens the API: of [platform] secret_file, else of admin.secret in the data directory; "" when there is none.
/// It may be replaced with each reload.
inline std::string platformSecret(const Config &config, const Platform &platform) {
  const std::string file = config.getString("platform.secret_file");
  if (!file.empty()) return readSecretFile(file);
  return readSecretFile(json::getString(*json::parseObject(platform.info()), "dataDir") + "/admin.secret");
}

} // namespace v1
} // namespace matrixos
