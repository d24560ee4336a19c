#include "SectionCheck.h"

#include "Operators.h"
#include "Provider.h"
#include "PublicPaths.h"
#include "oidc/BadSetting.h"
#include "oidc/Issuer.h"

#include <string>

namespace matrixos::identity {

namespace {

template <typename WhyNot>
void checkItems(const Config &config, Problems &problems, const char *key, WhyNot &&whyNot) {
  for (const std::string &item : config.getList(key)) {
    const std::string why = whyNot(item);
    if (!why.empty()) problems.add(key, std::string("\"").append(item).append("\" ").append(why));
  }
}

std::string whyNoDomain(const std::string &item) {
  return isHostName(item) ? "" : "is no domain; write it like example.com";
}

/// Compared byte by byte with what browsers call the page's origin: without a slash at the end, for one.
std::string whyNoOrigin(const std::string &item) {
  return originOf(item) == item ? "" : "is no origin; write it like https://console.example.com";
}

void checkProvider(const Config &config, Problems &problems) {
  try {
    makeProvider(config, {});
  } catch (const BadSetting &bad) {
    problems.add(bad.key(), bad.end());
  }
}

void checkKeyFile(const Config &config, Problems &problems) {
  const KeySource source = keysOf(config);
  const bool isPem = !source.publicKeyFile.empty();
  const char *const key = isPem ? "public_key_file" : "jwks_file";
  const std::string &path = isPem ? source.publicKeyFile : source.jwksFile;
  // A credential that only the daemon's unit has; --check says so itself.
  if (path.starts_with("credential:")) return;
  const std::string file = "\"" + path + "\" ";
  try {
    keysInFile(source);
  } catch (const Error &e) {
    // It may come later, or be readable for the daemon's user alone; those who are signed in already stay so.
    if (e.status() == Status::Unavailable)
      problems.warn(key, file + "is empty, too long, or cannot be read; until then nobody can sign in");
    else if (isPem)
      problems.add(key, file + "holds no PEM public key of RSA with 2048 to 8192 bits, EC on P-256, or Ed25519");
    else
      problems.add(key, file + "holds no JSON Web Key Set with a key that signatures can be verified with");
  }
}

} // namespace

void checkSection(const Config &config, Problems &problems) {
  const std::string mode = config.getString("mode");
  checkProvider(config, problems);
  if (mode == "none") {
    for (const std::string &exposure : config.getList("platform.exposures"))
      problems.add("mode", "\"none\" is refused, because " + exposure + "; then people need a provider to sign in");
  } else {
    checkKeyFile(config, problems);
  }
  if (mode == "clerk") checkItems(config, problems, "authorized_parties", whyNoOrigin);
  checkItems(config, problems, "operators", Operators::whyNot);
  checkItems(config, problems, "email_domains", whyNoDomain);
  checkItems(config, problems, "public_paths", PublicPaths::whyNot);
}

} // namespace matrixos::identity
