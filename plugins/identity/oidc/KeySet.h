#pragma once

#include "Cached.h"
#include "KeyTable.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace matrixos::identity {

class Issuer;

/// Where an operator says that an issuer's keys are; at most one of them. All empty: where the issuer says.
struct KeySource {
  std::string jwksUrl;
  std::string jwksFile;
  std::string publicKeyFile; ///< PEM
};

/// The keys in the file that an operator named; nothing where none is named. Blocks. Throws Error: Unavailable
/// "KEY_FILE" for one that cannot be read now, another status for one that holds no keys.
std::optional<KeyTable> keysInFile(const KeySource &source);

/// The keys of one issuer and of nobody else: kept for five minutes, or as long as they cannot be had anew; loaded
/// earlier, at most once a minute, for a token whose key is not among them. Any thread.
class KeySet {
public:
  /// Throws BadSetting, "KEY_SOURCE", when more than one source is named. `published` says where the
  /// issuer's own set is, when the operator named none. `issuer` outlives the set.
  KeySet(const Issuer &issuer, KeySource source, std::function<std::string()> published);

  /// The key that the token has to be signed with. Blocks. Throws Error: Unauthenticated "UNKNOWN_KEY", Unavailable.
  std::shared_ptr<const PublicKey> find(const JsonWebToken &token);

private:
  KeyTable load() const;

  const Issuer &issuer_;
  const KeySource source_;
  const std::function<std::string()> published_;
  Cached<KeyTable> tables_;
};

} // namespace matrixos::identity
