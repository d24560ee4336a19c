#pragma once

#include "PublicKey.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::identity {

class JsonWebToken;

/// The keys of one issuer. Immutable; any thread.
class KeyTable {
public:
  /// A JWK set (RFC 7517 §5) of at most 64 keys. Keys that are not for us are left out. Throws Error(InvalidArgument,
  /// "BAD_KEYS"), also when none is left.
  static KeyTable ofJwks(const Json &document);
  /// One key for tokens with any `kid` and none. Throws Error(InvalidArgument, "BAD_KEY").
  static KeyTable ofPem(std::string_view pem);

  /// The key that this token has to be signed with: the one with its `kid`, or for a token without one the only key for
  /// its algorithm. Null when there is none. Of several keys with one `kid` the token's algorithm picks.
  const PublicKey *find(const JsonWebToken &token) const;

private:
  std::vector<std::pair<std::optional<std::string>, PublicKey>> keys_;
  bool anyKid_ = false;
};

} // namespace matrixos::identity
