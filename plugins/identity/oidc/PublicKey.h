#pragma once

#include "StrictJson.h"

#include <openssl/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos::identity {

/// A key that signatures are verified with. It has exactly one algorithm, which follows from its type, or for RSA from
/// its own `alg`; no token chooses (RFC 8725 §3.1).
///
/// Immutable; any thread.
class PublicKey {
public:
  enum class Algorithm { Rs256, Ps256, Es256, EdDsa };

  /// A JSON Web Key (RFC 7517): RSA from 2048 to 8192 bits, EC on P-256, OKP with Ed25519 (RFC 8037). Nothing for one
  /// that is malformed, of another kind, or by `use`, `key_ops` or `alg` not for verifying signatures that we know.
  static std::optional<PublicKey> fromJwk(const Json &jwk);
  /// One of these kinds as `-----BEGIN PUBLIC KEY-----`; RSA means RS256. Throws Error(InvalidArgument, "BAD_KEY").
  static PublicKey fromPem(std::string_view pem);

  Algorithm algorithm() const noexcept { return algorithm_; }
  /// Whether a token calls the algorithm so: "RS256". "Ed25519" is a newer name of "EdDSA" (RFC 9864).
  bool isCalled(std::string_view alg) const noexcept;
  /// Whether the signature, in the form that JSON Web Signatures have, is one of these bytes by this key.
  bool verifies(std::string_view bytes, std::string_view signature) const;

private:
  using Handle = std::shared_ptr<EVP_PKEY>;

  PublicKey(Handle key, Algorithm algorithm) : key_(std::move(key)), algorithm_(algorithm) {}
  /// The kind that the key's type makes it; nothing for weak and unknown ones.
  static std::optional<Algorithm> judge(const EVP_PKEY *key, bool pss);

  Handle key_;
  Algorithm algorithm_;
};

} // namespace matrixos::identity
