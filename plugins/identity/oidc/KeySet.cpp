#include "KeySet.h"

#include "BadSetting.h"
#include "Issuer.h"
#include "JsonWebToken.h"
#include "Refusal.h"

#include <fstream>
#include <utility>

namespace matrixos::identity {

namespace {

constexpr std::chrono::minutes kLifetime{5};
constexpr std::size_t kMaxFile = 1024 * 1024;

std::string readFile(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kMaxFile + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.empty() || text.size() > kMaxFile)
    throw Error(Status::Unavailable, "it is empty, too long, or cannot be read", "KEY_FILE");
  return text;
}

} // namespace

std::optional<KeyTable> keysInFile(const KeySource &source) {
  if (!source.publicKeyFile.empty()) return KeyTable::ofPem(readFile(source.publicKeyFile));
  if (!source.jwksFile.empty()) return KeyTable::ofJwks(parseStrictObject(readFile(source.jwksFile)));
  return std::nullopt;
}

KeySet::KeySet(const Issuer &issuer, KeySource source, std::function<std::string()> published)
    : issuer_(issuer), source_(std::move(source)), published_(std::move(published)),
      tables_([this] { return load(); }, kLifetime, issuer.world().now) {
  const int named = !source_.jwksUrl.empty() + !source_.jwksFile.empty() + !source_.publicKeyFile.empty();
  if (named > 1)
    throw BadSetting(source_.jwksUrl.empty() ? "jwks_file" : "jwks_url",
                     "is not alone; set only one of jwks_url, jwks_file and public_key_file", "KEY_SOURCE");
  if (!source_.jwksUrl.empty() && !issuer.allows(source_.jwksUrl))
    throw BadSetting("jwks_url", "has to be https; http is for this machine alone", "KEY_SOURCE");
}

std::shared_ptr<const PublicKey> KeySet::find(const JsonWebToken &token) {
  auto table = tables_.get();
  const PublicKey *key = table->find(token);
  if (key == nullptr) {
    table = tables_.newerThan(table);
    key = table->find(token);
  }
  if (key == nullptr) throw refusal("UNKNOWN_KEY", "The sign-in token is signed with a key that is not the provider's");
  return {table, key};
}

KeyTable KeySet::load() const {
  std::string place = source_.jwksFile.empty() ? source_.publicKeyFile : source_.jwksFile;
  try {
    if (auto keys = keysInFile(source_)) return *std::move(keys);
    const bool byOperator = !source_.jwksUrl.empty();
    place = byOperator ? source_.jwksUrl : published_();
    return KeyTable::ofJwks(issuer_.document(place, byOperator));
  } catch (const Error &e) {
    if (e.reason() == "ISSUER_UNREACHABLE" || e.reason() == "BAD_ISSUER_ANSWER") throw;
    throw issuer_.unusable("of its keys at " + place + ": " + e.what());
  }
}

} // namespace matrixos::identity
