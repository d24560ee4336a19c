#include "Provider.h"

#include "DevelopmentProvider.h"
#include "Hosts.h"
#include "oidc/BadSetting.h"
#include "oidc/ClerkTokens.h"
#include "oidc/OpenIdProvider.h"

#include <utility>

namespace matrixos::identity {

namespace {

std::string required(const Config &config, const char *key, const char *whereFrom) {
  std::string value = config.getString(key);
  if (value.empty()) throw BadSetting(key, std::string("is missing; ") + whereFrom, "MISSING");
  return value;
}

} // namespace

KeySource keysOf(const Config &config) {
  return {config.getString("jwks_url"), config.getString("jwks_file"), config.getString("public_key_file")};
}

std::unique_ptr<SignInProvider> makeProvider(const Config &config, World world) {
  const std::string mode = config.getString("mode");
  if (mode == "none") return std::make_unique<DevelopmentProvider>();
  if (mode == "oidc") {
    OpenIdProvider::Settings settings{
        required(config, "issuer",
                 "mode = oidc needs your provider's address, as \"issuer\" in its discovery document says it"),
        config.getString("client_id"), std::string(config.secret("client_secret").reveal()), config.getList("scopes"),
        keysOf(config)};
    return std::make_unique<OpenIdProvider>(std::move(settings), std::move(world));
  }
  ClerkTokens::Settings settings{
      required(config, "clerk_publishable_key", "copy it from API keys in Clerk's dashboard"),
      config.getString("issuer"), keysOf(config), config.getList("authorized_parties")};
  if (settings.authorizedParties.empty()) {
    const Hosts hosts(config.getString("platform.domain"), config.getString("platform.console_host"));
    const auto console = hosts.parse(hosts.console(), "https");
    if (console) settings.authorizedParties.push_back(console->origin(kConsole));
  }
  return std::make_unique<ClerkTokens>(std::move(settings), std::move(world));
}

ClerkFrontend clerkFrontend(const Config &config) {
  if (config.getString("mode") != "clerk") return {};
  const std::string key = config.getString("clerk_publishable_key");
  return {key, ClerkTokens::frontendApi(key)};
}

} // namespace matrixos::identity
